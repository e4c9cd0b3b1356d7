// load/request.h - the octets of HTTP requests, from a template.
//
// {host} and {path} are those of the target and filled in once; {n} is the number of the request
// and filled in each time. Without {n} the octets are constant and sent without a copy.
#ifndef MILLRACE_APPS_LOAD_REQUEST_H_
#define MILLRACE_APPS_LOAD_REQUEST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apps/load/target.h"

namespace millrace::apps {

class RequestTemplate {
 public:
  // The plain one: GET of the target's path. `last`: asks the server to close after it.
  static RequestTemplate Get(const Target& target, bool last);
  // `text`: a request head with any line ends, and a body behind an empty line. Line ends of the
  // head become CR LF, a missing empty line is added.
  static RequestTemplate FromText(std::string_view text, const Target& target);

  bool constant() const { return pieces_.size() == 1; }
  // REQUIRES: constant().
  std::string_view octets() const { return pieces_.front(); }
  // Writes request number `n` over *out.
  void Render(uint64_t n, std::string* out) const;
  // False when the response to it has no body whatever its header says.
  bool head_only() const { return head_only_; }

 private:
  explicit RequestTemplate(std::string text);

  std::vector<std::string> pieces_;  // the number goes between them; never empty
  bool head_only_ = false;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_REQUEST_H_
