// The embedded pages by topic: a page, a section of one, or a function. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace durabled::daemon::docs {

// Markdown without the comments that only tests read. A topic is the name of a page ("language"), the heading of a
// section ("truth", "Failing and retrying"), or a function ("df.http"); case does not matter. Of sections with one
// heading it is that of the first page.
std::optional<std::string> find_topic(std::string_view topic);

// `text` of a page without those comments.
std::string without_comments(std::string_view text);

// A list of the pages with the titles of their sections.
std::string list_topics();

// The names of the pages.
std::vector<std::string> page_names();

// The sections that hold the word, whatever its case, with the first line that does; at most kMostFound, and then a
// line that says so. Empty when none does.
inline constexpr std::size_t kMostFound = 40;
std::string search(std::string_view word);

}  // namespace durabled::daemon::docs
