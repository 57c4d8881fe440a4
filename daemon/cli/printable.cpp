#include "daemon/cli/printable.hpp"

#include <ostream>

#include "daemon/plain_text.hpp"
#include "daemon/random_bytes.hpp"

namespace durabled::daemon::cli {
namespace {

// Continuation bytes of UTF-8 only, which no valid text has by themselves; the last byte of a mark is the number.
constexpr std::size_t kMarkBytes = 12;
constexpr unsigned char kContinuation = 0x80;

const std::string& mark_beginning() {
  static const std::string beginning = [] {
    std::string text;
    for (const char byte : random_bytes(kMarkBytes))
      text += static_cast<char>(kContinuation | (static_cast<unsigned char>(byte) & 0x3F));
    return text;
  }();
  return beginning;
}

}  // namespace

std::string colour_mark(int number) {
  return mark_beginning() + static_cast<char>(kContinuation | (static_cast<unsigned>(number) & 0x3F));
}

std::string printable(std::string_view text) {
  const std::string& mark = mark_beginning();
  std::string out;
  bool is_coloured = false;
  const auto switch_to = [&](int number) {
    out += "\033[" + std::to_string(number) + 'm';
    is_coloured = number != 0;
  };
  while (!text.empty()) {
    if (text.starts_with(mark) && text.size() > mark.size()) {
      switch_to(static_cast<unsigned char>(text[mark.size()]) & 0x3F);
      text.remove_prefix(mark.size() + 1);
      continue;
    }
    if (text.front() == '\n' && is_coloured) switch_to(0);
    const std::size_t hidden = hidden_character(text);
    const auto first = static_cast<unsigned char>(text.front());
    const std::size_t visible = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    const std::size_t length = hidden > 0 ? hidden : visible;
    out += hidden > 0 ? with_escapes(text.substr(0, length), "\n\t") : std::string(text.substr(0, length));
    text.remove_prefix(length);
  }
  if (is_coloured) switch_to(0);
  return out;
}

PrintableOutput::PrintableOutput(std::ostream& stream) : stream_(stream), target_(stream.rdbuf(this)) {}

PrintableOutput::~PrintableOutput() {
  sync();
  stream_.rdbuf(target_);
}

PrintableOutput::int_type PrintableOutput::overflow(int_type c) {
  if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
  const char one = traits_type::to_char_type(c);
  return xsputn(&one, 1) == 1 ? c : traits_type::eof();
}

std::streamsize PrintableOutput::xsputn(const char* text, std::streamsize size) {
  held_.append(text, static_cast<std::size_t>(size));
  pass_lines();
  return size;
}

void PrintableOutput::pass_lines() {
  const std::size_t end = held_.rfind('\n');
  if (end == std::string::npos) return;
  const std::string lines = printable(std::string_view(held_).substr(0, end + 1));
  target_->sputn(lines.data(), static_cast<std::streamsize>(lines.size()));
  held_.erase(0, end + 1);
}

int PrintableOutput::sync() {
  const std::string rest = printable(held_);
  held_.clear();
  const auto size = static_cast<std::streamsize>(rest.size());
  return target_->sputn(rest.data(), size) == size && target_->pubsync() == 0 ? 0 : -1;
}

}  // namespace durabled::daemon::cli
