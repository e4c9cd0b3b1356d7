# scripts/stage.sh - sourced by the scripts here: one line per stage, everything else in a log.
#
# stage NAME LOG COMMAND...  runs COMMAND with its output in LOG and prints "NAME ... ok (3 s)".
# When it fails the last lines of LOG follow, and stage returns COMMAND's exit status.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
STAGE_TAIL_LINES=40

stage() {
  local name=$1 log=$2 start=$SECONDS status=0
  shift 2
  mkdir -p "$(dirname "$log")"
  printf '%-38s' "$name ..." >&2
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if ((status == 0)); then
    printf 'ok (%d s)\n' $((SECONDS - start)) >&2
    return 0
  fi
  printf 'FAILED (%d s)\n' $((SECONDS - start)) >&2
  echo "--- last lines of $log" >&2
  tail -n "$STAGE_TAIL_LINES" "$log" >&2
  echo "---" >&2
  return "$status"
}

# configure DIR [OPTION...]: `meson setup`, once; ninja looks after later changes. A directory
# whose set-up was interrupted has no build.ninja and is made afresh.
configure() {
  local dir=$1
  shift
  [[ -f $dir/build.ninja ]] && return 0
  if [[ -d $dir/meson-private ]]; then
    meson setup --wipe "$dir" "$ROOT" "$@"
  else
    meson setup "$dir" "$ROOT" "$@"
  fi
}

# The program that a build directory holds. MILLRACE overrides it.
millrace_binary() {
  local dir=$1 candidate
  for candidate in "${MILLRACE:-}" "$dir/apps/millrace" "$dir/apps/millrace/millrace"; do
    if [[ -n $candidate && -f $candidate && -x $candidate ]]; then
      echo "$candidate"
      return 0
    fi
  done
  echo "no millrace program in $dir: run ./scripts/run first" >&2
  return 1
}
