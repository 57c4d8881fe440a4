// Catch2, version 2 or 3: the one place that knows which.
#pragma once

#define CATCH_CONFIG_ENABLE_OPTIONAL_STRINGMAKER  // rows of SQL are printed with their values

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Matchers::ContainsSubstring;
#else
#include <catch2/catch.hpp>
using Catch::Matchers::Contains;
inline Catch::Matchers::StdString::ContainsMatcher ContainsSubstring(const std::string& text) {
  return Contains(text, Catch::CaseSensitive::Yes);
}
#endif
