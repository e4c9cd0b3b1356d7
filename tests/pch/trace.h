// tests/pch/trace.h - what nearly every trace includes, compiled once for all of them.
#ifndef MILLRACE_TESTS_PCH_TRACE_H_
#define MILLRACE_TESTS_PCH_TRACE_H_

#include "pch/gmock.h"
#include "testing/trace.h"

#endif  // MILLRACE_TESTS_PCH_TRACE_H_
