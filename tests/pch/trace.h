// tests/pch/trace.h - what nearly every trace includes, compiled once for all of them.
#include "testing/trace.h"
#include "pch/gmock.h"
