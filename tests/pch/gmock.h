// tests/pch/gmock.h - what nearly every test includes, compiled once for a program: without it more
// than a third of the time to compile a test goes into these.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>
