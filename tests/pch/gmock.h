// tests/pch/gmock.h - what nearly every test includes, compiled once for a program: without it more
// than a third of the time to compile a test goes into these.
#ifndef MILLRACE_TESTS_PCH_GMOCK_H_
#define MILLRACE_TESTS_PCH_GMOCK_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#endif  // MILLRACE_TESTS_PCH_GMOCK_H_
