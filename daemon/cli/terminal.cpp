#include "daemon/cli/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "daemon/cli/printable.hpp"
#include "dsl/engine/event.hpp"
#include "dsl/value/utf8.hpp"

namespace durabled::daemon::cli {
namespace {

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

// The terminal's number for it.
int number_of(Colour colour) {
  switch (colour) {
    case Colour::kPlain:
      return 0;
    case Colour::kBold:
      return 1;
    case Colour::kDim:
      return 2;
    case Colour::kRed:
      return 31;
    case Colour::kGreen:
      return 32;
    case Colour::kYellow:
      return 33;
    case Colour::kCyan:
      return 36;
  }
  return 0;
}

std::string pad(const std::string& text, std::size_t width) {
  const std::size_t have = width_of(text);
  return have >= width ? text : text + std::string(width - have, ' ');
}

}  // namespace

bool coloured() {
  static const bool result = [] {
    const char* term = std::getenv("TERM");
    return isatty(STDOUT_FILENO) == 1 && !is_set("NO_COLOR") &&
           (term == nullptr || std::string(term) != "dumb");
  }();
  return result;
}

std::size_t terminal_width() {
  winsize size{};
  if (isatty(STDOUT_FILENO) != 1 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

std::string paint(Colour colour, const std::string& text) {
  if (colour == Colour::kPlain || !coloured()) return text;
  return colour_mark(number_of(colour)) + text + colour_mark(0);
}

Colour status_colour(const std::string& status) {
  if (status == "completed") return Colour::kGreen;
  if (status == "failed") return Colour::kRed;
  if (status == "running") return Colour::kCyan;
  if (status == "paused" || status == "cancelled") return Colour::kYellow;
  return Colour::kDim;
}

std::string status_mark(const std::string& status) {
  if (status == "completed") return "✓";
  if (status == "failed") return "✗";
  if (status == "running") return "⏳";
  if (status == "skipped" || status == "cancelled") return "⊘";
  return "○";
}

std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), dsl::begins_character));
}

std::string one_line(const std::string& text, std::size_t width) {
  std::string line;
  for (const char c : text) {
    const bool space = static_cast<unsigned char>(c) <= ' ' || c == '\x7f';
    if (!space) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  if (!line.empty() && line.back() == ' ') line.pop_back();
  if (width == 0 || width_of(line) <= width) return line;
  std::size_t kept = 0;
  std::size_t end = 0;
  while (end < line.size() && !(dsl::begins_character(line[end]) && kept + 1 == width)) {
    kept += dsl::begins_character(line[end]) ? 1 : 0;
    ++end;
  }
  return line.substr(0, end) + "…";
}

std::string readable(std::chrono::microseconds duration) {
  const double seconds = std::max(0.0, std::chrono::duration<double>(duration).count());
  std::array<char, 32> text{};
  const auto whole = static_cast<long long>(seconds);
  if (seconds < 0.9995) {
    std::snprintf(text.data(), text.size(), "%.0f ms", seconds * 1'000);
  } else if (seconds < 60) {
    std::snprintf(text.data(), text.size(), "%.1f s", seconds);
  } else if (whole < 3'600) {
    std::snprintf(text.data(), text.size(), "%lld min %lld s", whole / 60, whole % 60);
  } else if (whole < 86'400) {
    std::snprintf(text.data(), text.size(), "%lld h %lld min", whole / 3'600, whole % 3'600 / 60);
  } else {
    std::snprintf(text.data(), text.size(), "%lld d %lld h", whole / 86'400, whole % 86'400 / 3'600);
  }
  return text.data();
}

std::string local_time(const std::string& rfc3339, bool milliseconds) {
  const auto time = dsl::parse_time(rfc3339);
  if (!time) return rfc3339;
  const auto micros = time->time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(micros);
  const auto unix_time = static_cast<std::time_t>(seconds.count());
  std::tm local{};
  localtime_r(&unix_time, &local);
  std::array<char, 32> text{};
  std::array<char, 16> zone{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
  std::strftime(zone.data(), zone.size(), " %Z", &local);
  if (!milliseconds) return std::string(text.data()) + zone.data();
  std::array<char, 8> fraction{};
  std::snprintf(
      fraction.data(), fraction.size(), ".%03d",
      static_cast<int>(std::chrono::floor<std::chrono::milliseconds>(micros - seconds).count() % 1'000));
  return std::string(text.data()) + fraction.data() + zone.data();
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (const std::string& title : titles_) widths.push_back(width_of(title));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i].text));
  }
  std::size_t before_last = 0;
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) before_last += widths[i] + 2;
  constexpr std::size_t kLeast = 20;
  const std::size_t terminal = terminal_width();
  const std::size_t last = terminal == 0 ? 0 : std::max(kLeast, terminal - std::min(terminal, before_last));

  std::string result;
  const auto line = [&](const std::vector<Cell>& cells) {
    for (std::size_t i = 0; i + 1 < cells.size(); ++i)
      result += paint(cells[i].colour, pad(one_line(cells[i].text, 0), widths[i])) + "  ";
    result += paint(cells.back().colour, one_line(cells.back().text, last));
    result.erase(result.find_last_not_of(' ') + 1);
    result += '\n';
  };
  std::vector<Cell> titles;
  for (const std::string& title : titles_) titles.push_back({title, Colour::kBold});
  line(titles);
  for (const auto& row : rows_) line(row);
  return result;
}

Progress::Progress() : on_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (on_) std::fputs("\r\033[K", stderr);
}

void Progress::show(const std::string& text) {
  constexpr std::array<const char*, 10> kFrames{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
  if (!on_) return;
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 4;
  const std::string line = printable(one_line(text, known ? size.ws_col - 3U : 76U));
  std::fputs(("\r\033[K" + std::string(kFrames.at(frame_++ % kFrames.size())) + ' ' + line).c_str(), stderr);
}

}  // namespace durabled::daemon::cli
