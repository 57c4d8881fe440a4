// Output for people: colours and progress where a terminal is, plain text anywhere else.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace durabled::daemon::cli {

enum class Colour { kPlain, kBold, kDim, kRed, kGreen, kYellow, kCyan };

// Whether stdout is a terminal that wants colours (NO_COLOR, TERM=dumb).
bool coloured();
// Columns of the terminal behind stdout; 0 if stdout is not a terminal (nothing is cut).
std::size_t terminal_width();

// `text` with the codes around it, or as it is when stdout is not coloured.
std::string paint(Colour colour, const std::string& text);

// The colour and the mark of an instance's or node's status: completed ✓ failed ✗ running ⏳ pending ○ skipped
// ⊘.
Colour status_colour(const std::string& status);
std::string status_mark(const std::string& status);

// Characters, not bytes; wide ones count as one.
std::size_t width_of(const std::string& text);
// At most `width` characters, the last one an ellipsis when something was cut. White space becomes one space.
std::string one_line(const std::string& text, std::size_t width);

// "1.2 s", "3 min 4 s", "2 h 5 min", "3 d 4 h".
std::string readable(std::chrono::microseconds duration);
// "2026-03-01 14:02:11 CET", in the local time zone, with milliseconds if wanted; the text itself when it is not
// a time.
std::string local_time(const std::string& rfc3339, bool milliseconds = false);

// Rows in aligned columns. The last column takes what is left of the terminal and is cut there.
class Table {
 public:
  explicit Table(std::vector<std::string> titles) : titles_(std::move(titles)) {}
  struct Cell {
    std::string text;
    Colour colour = Colour::kPlain;
  };
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  std::string text() const;

 private:
  std::vector<std::string> titles_;
  std::vector<std::vector<Cell>> rows_;
};

// One line on stderr that changes while something is waited for; nothing when stderr is not a terminal.
class Progress {
 public:
  Progress();
  ~Progress();  // clears the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void show(const std::string& text);
  bool is_shown() const { return on_; }

 private:
  bool on_;
  std::size_t frame_ = 0;
};

}  // namespace durabled::daemon::cli
