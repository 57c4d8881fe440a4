// The one translation unit that compiles Boost.JSON, which is used header-only everywhere else.
#include <boost/json/src.hpp>
