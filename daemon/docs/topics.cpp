#include "daemon/docs/topics.hpp"

#include <algorithm>

#include "daemon/docs/documents.hpp"

namespace durabled::daemon::docs {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

// "skill/references/patterns.md" is "skill/patterns", "skill/SKILL.md" is "skill".
std::string page_name(std::string_view path) {
  std::string name = lower(path.substr(0, path.rfind('.')));
  if (name == "skill/skill") return "skill";
  if (const auto at = name.find("references/"); at != std::string::npos) name.erase(at, 11);
  return name;
}

struct Section {
  std::size_t begin = 0, end = 0;  // in the page's text, the heading included
  std::size_t level = 0;           // how many #
  std::string heading;             // without # and `
};

// Calls visit(begin, end, is_code) with each line of `text`.
template <typename Visit>
void for_each_line(std::string_view text, Visit visit) {
  bool is_code = false;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    const bool is_fence = text.substr(begin, 3) == "```";
    visit(begin, end, is_code || is_fence);
    if (is_fence) is_code = !is_code;
    begin = end;
  }
}

// A section ends where the next heading of its level or a higher one begins.
std::vector<Section> sections_of(std::string_view text) {
  std::vector<Section> all;
  for_each_line(text, [&](std::size_t begin, std::size_t end, bool is_code) {
    const std::string_view line = text.substr(begin, end - begin);
    const std::size_t level = std::min(line.find_first_not_of('#'), line.size());
    if (is_code || level == 0 || level > 4 || line.substr(level, 1) != " ") return;
    std::string heading(line.substr(level + 1));
    std::erase_if(heading, [](char c) { return c == '`' || c == '\n'; });
    all.push_back({begin, text.size(), level, std::move(heading)});
  });
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto next = std::find_if(all.begin() + static_cast<std::ptrdiff_t>(i) + 1, all.end(),
                                   [&](const Section& other) { return other.level <= all[i].level; });
    if (next != all.end()) all[i].end = next->begin;
  }
  return all;
}

// Whether the section is about the topic: its heading is it, or begins with it as the name of a function.
bool is_about(const Section& section, const std::string& topic) {
  const std::string heading = lower(section.heading);
  return heading == topic || heading.starts_with(topic + "(") || heading == "df." + topic ||
         heading.starts_with("df." + topic + "(") ||
         heading.find(" df." + topic + "(") != std::string::npos ||
         heading.find(' ' + topic + '(') != std::string::npos;
}

}  // namespace

std::string without_comments(std::string_view text) {
  std::string result;
  bool is_comment = false;
  for_each_line(text, [&](std::size_t begin, std::size_t end, bool is_code) {
    const std::string_view line = text.substr(begin, end - begin);
    is_comment = is_comment || (!is_code && line.starts_with("<!--"));
    if (!is_comment) result += line;
    if (line.ends_with("-->\n")) is_comment = false;
  });
  return result;
}

std::optional<std::string> find_topic(std::string_view topic) {
  std::string wanted = lower(topic);
  std::replace(wanted.begin(), wanted.end(), '\n', ' ');
  for (const Document& document : documents()) {
    if (page_name(document.path) == wanted) return without_comments(document.text);
  }
  for (const Document& document : documents()) {
    for (const Section& section : sections_of(document.text)) {
      if (is_about(section, wanted))
        return without_comments(document.text.substr(section.begin, section.end - section.begin));
    }
  }
  std::replace(wanted.begin(), wanted.end(), '-', ' ');
  return wanted == lower(topic) ? std::nullopt : find_topic(wanted);
}

std::vector<std::string> page_names() {
  std::vector<std::string> names;
  for (const Document& document : documents()) names.push_back(page_name(document.path));
  return names;
}

std::string list_topics() {
  std::string list;
  for (const Document& document : documents()) {
    list += "- **" + page_name(document.path) + "**: ";
    std::string titles;
    for (const Section& section : sections_of(document.text)) {
      if (section.level == 2) titles += (titles.empty() ? "" : ", ") + section.heading;
    }
    list += (titles.empty() ? "one section" : titles) + "\n";
  }
  return list;
}

std::string search(std::string_view word) {
  const std::string wanted = lower(word);
  std::string found;
  std::size_t count = 0;
  for (const Document& document : documents()) {
    const std::string text = lower(document.text);
    const std::vector<Section> sections = sections_of(document.text);
    for (std::size_t i = 0; i < sections.size(); ++i) {
      const std::size_t end = i + 1 < sections.size() ? sections[i + 1].begin : text.size();
      const std::size_t at = text.find(wanted, sections[i].begin);
      if (wanted.empty() || at >= end) continue;
      if (++count > kMostFound) continue;
      const std::size_t begin = text.rfind('\n', at) + 1;
      found += "- **" + page_name(document.path) + "**, " + sections[i].heading + ": " +
               std::string(document.text.substr(begin, document.text.find('\n', at) - begin)) + "\n";
    }
  }
  if (count > kMostFound)
    found += "- and " + std::to_string(count - kMostFound) + " sections more; give more of the text\n";
  return found;
}

}  // namespace durabled::daemon::docs
