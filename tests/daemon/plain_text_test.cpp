// Text of others in logs and on terminals.
#include "daemon/plain_text.hpp"

#include <boost/json.hpp>

#include "daemon/cli/printable.hpp"
#include "daemon/log.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

namespace durabled::test {
namespace {

using daemon::cut_text;
using daemon::json_with_escapes;
using daemon::one_log_line;
using daemon::with_escapes;

TEST_CASE("characters that act on what is around them are escaped, others stay", "[text]") {
  CHECK(with_escapes("plain \u00e4 \u4e2d \U0001F600 e\u0301") == "plain \u00e4 \u4e2d \U0001F600 e\u0301");
  CHECK(with_escapes("a\033[31m\007\x7F\n\t") == "a\\x1b[31m\\x07\\x7f\\x0a\\x09");
  CHECK(with_escapes("a\nb\tc", "\n\t") == "a\nb\tc");
  CHECK(with_escapes("\xC2\x9B\u202E\u2066\u2028\u200F\uFEFF\U000E0041") ==
        "\\x9b\\u{202e}\\u{2066}\\u{2028}\\u{200f}\\u{feff}\\u{e0041}");
  // Bytes that are not UTF-8: alone, cut off, overlong, a surrogate.
  CHECK(with_escapes("\x9B x \xE2\x82") == "\\x9b x \\xe2\\x82");
  CHECK(with_escapes("\xC0\x9B") == "\\xc0\\x9b");
  CHECK(with_escapes("\xED\xA0\x80") == "\\xed\\xa0\\x80");
  CHECK(with_escapes(std::string_view("\0", 1)) == "\\x00");
}

TEST_CASE("JSON with escapes is the same JSON", "[text]") {
  const std::string text = "a\x7F\xC2\x9B\u202E\U000E0041\u00e4";
  const std::string json = "{\n\t\"k\":\"" + text + "\"}";
  const std::string escaped = json_with_escapes(json);
  CHECK(escaped == "{\n\t\"k\":\"a\\u007f\\u009b\\u202e\\udb40\\udc41\u00e4\"}");
  CHECK(boost::json::parse(escaped) == boost::json::parse(json));
}

TEST_CASE("a log line is one line of bounded length", "[text]") {
  CHECK(one_log_line("one\ntwo\n", 100) == "one | two");
  CHECK(one_log_line("\r\nforged \033[31m", 100) == "\\x0d | forged \\x1b[31m");
  CHECK(cut_text("abc", 3) == "abc");
  CHECK(cut_text("abcdef", 3) == "abc\u2026 (3 bytes more)");
  CHECK(cut_text("ab\u00e4c", 3) == "ab\u2026 (3 bytes more)");
  CHECK(one_log_line(std::string(10'000'000, '\n'), 100).size() < 500);
}

TEST_CASE("a message cannot forge an entry of the log, nor fill it", "[text]") {
  const TemporaryDirectory directory("durabled-log");
  config::Config::Log log;
  log.file = (directory.path() / "log").string();
  const std::string forged = "notice: x\n2026-11-21T00:00:00.000Z error FORGED \033[31m\u2028\x9B";
  for (const std::string format : {"text", "json"}) {
    log.format = format;
    write_file(log.file, "");
    daemon::configure_log(log);
    daemon::log_warn(forged);
    daemon::log_warn(std::string(1'000'000, 'x'));
    const std::string text = read_file(log.file);
    INFO(text.substr(0, 500));
    CHECK(std::count(text.begin(), text.end(), '\n') == 2);
    CHECK(text.size() < 20'000);
    for (const char* control : {"\033", "\u2028", "\x9B"}) CHECK(text.find(control) == std::string::npos);
    if (format == "json") boost::json::parse(text.substr(0, text.find('\n')));
  }
  daemon::configure_log({});
}

TEST_CASE("only paint colours what a terminal is shown", "[text]") {
  using daemon::cli::colour_mark;
  using daemon::cli::printable;
  CHECK(printable(colour_mark(31) + "red" + colour_mark(0) + "!") == "\033[31mred\033[0m!");
  CHECK(printable("\u2713" + colour_mark(1) + "\u2713" + colour_mark(0)) == "\u2713\033[1m\u2713\033[0m");
  // A colour whose end was cut off ends with its line.
  CHECK(printable(colour_mark(32) + "a\nb") == "\033[32ma\033[0m\nb");
  CHECK(printable(colour_mark(32) + "a") == "\033[32ma\033[0m");
  CHECK(printable("\033[31m\xA1\x9B"
                  "a\x9B") == "\\x1b[31m\\xa1\\x9ba\\x9b");
  CHECK(printable(colour_mark(0).substr(1) + "x").find('\033') == std::string::npos);
}

}  // namespace
}  // namespace durabled::test
