#include "daemon/cli/printable.hpp"

#include <array>
#include <ostream>

namespace durabled::daemon::cli {
namespace {

std::size_t length_of_colour(std::string_view text) {
  constexpr std::array<std::string_view, 7> kCodes{"\033[0m",  "\033[1m",  "\033[2m", "\033[31m",
                                                   "\033[32m", "\033[33m", "\033[36m"};
  for (const std::string_view code : kCodes) {
    if (text.starts_with(code)) return code.size();
  }
  return 0;
}

void append_hex(std::string& out, unsigned char byte) {
  constexpr const char* kDigits = "0123456789abcdef";
  out += "\\x";
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    if (const std::size_t colour = byte == 0x1B ? length_of_colour(text.substr(i)) : 0; colour > 0) {
      out += text.substr(i, colour);
      i += colour - 1;
    } else if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F) {
      append_hex(out, byte);
    } else if (byte == 0xC2 && next >= 0x80 && next < 0xA0) {  // C1 in UTF-8
      append_hex(out, static_cast<unsigned char>(next));
      ++i;
    } else {
      out += text[i];
    }
  }
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
