// What readers and terminals are shown of text that others have written: no control character of theirs, nor a
// colour, nor a mark that changes the direction of writing.
#pragma once

#include <iosfwd>
#include <streambuf>
#include <string>
#include <string_view>

namespace durabled::daemon::cli {

// What printable() turns into the terminal's code for that colour (0: none, 1: bold, …, 36: cyan). Nobody else can
// write it, because it holds random bytes of this process. Takes no room: width_of() does not count it, and
// one_line() keeps it.
std::string colour_mark(int number);

// `text` with each control or format character but line feed and tab as \xNN or \u{NNNN}, and with the terminal's
// codes for the marks of colours. A colour ends with its line.
std::string printable(std::string_view text);

// While it lives, what is written to `stream` goes through printable().
class PrintableOutput : public std::streambuf {
 public:
  explicit PrintableOutput(std::ostream& stream);
  ~PrintableOutput() override;
  PrintableOutput(const PrintableOutput&) = delete;
  PrintableOutput& operator=(const PrintableOutput&) = delete;

 private:
  int_type overflow(int_type c) override;
  std::streamsize xsputn(const char* text, std::streamsize size) override;
  int sync() override;
  void pass_lines();

  std::ostream& stream_;
  std::streambuf* target_;
  std::string held_;  // the last line, until it ends or is flushed
};

}  // namespace durabled::daemon::cli
