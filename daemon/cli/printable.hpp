// What a terminal is shown of text that others have written: no control character of theirs reaches it.
#pragma once

#include <iosfwd>
#include <streambuf>
#include <string>
#include <string_view>

namespace durabled::daemon::cli {

// `text` with each control character (C0 but line feed and tab, DEL, C1) as \xNN. The codes of paint() stay.
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
