#include "dsl/value/reference_sites.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

#include "dsl/value/sql_lexical.hpp"

namespace durabled::dsl {
namespace {

using Context = ReferenceSite::Context;

// Each level of nested bodies searches its rest for a closing tag; deeper tags are taken as characters.
constexpr int kMaxBodyDepth = 16;

bool begins(std::string_view text, std::size_t position, std::size_t limit, std::string_view what) {
  return limit - position >= what.size() && text.compare(position, what.size(), what) == 0;
}

class Scanner {
 public:
  explicit Scanner(const ExpandedTemplate& source) : source_(source), text_(source.text) {}

  ReferenceSites run() {
    scan_code(0, text_.size(), 0);
    return std::move(scan_);
  }

 private:
  // The last token, as far as it matters to the next one.
  enum class Previous { kOther, kString, kReference, kAnyWord, kAnyParenthesis, kInWord, kInParenthesis };

  void scan_code(std::size_t position, std::size_t limit, int depth) {
    previous_ = Previous::kOther;
    while (position < limit) position = scan_token(position, limit, depth);
  }

  std::size_t scan_token(std::size_t position, std::size_t limit, int depth) {
    const char c = text_[position];
    const std::size_t after_space = skip_sql_space(text_.substr(0, limit), position);
    if (after_space > position) return after_space;
    if (c == '\'') return scan_string(position + 1, limit, Context::kString, depth);
    if (c == '"') return scan_quoted_identifier(position, limit, depth);
    if (is_identifier_start(c)) return scan_word(position, limit, depth);
    if (is_digit(c)) return scan_number(position, limit);
    if (c == '$') return scan_dollar(position, limit, depth);
    const Previous word = std::exchange(previous_, Previous::kOther);
    if (c == '(' && word == Previous::kAnyWord) previous_ = Previous::kAnyParenthesis;
    if (c == '(' && word == Previous::kInWord) previous_ = Previous::kInParenthesis;
    return position + 1;
  }

  // `position` is that of the opening quote.
  std::size_t scan_quoted_identifier(std::size_t position, std::size_t limit, int depth) {
    previous_ = Previous::kOther;
    const bool is_unicode =
        position >= 2 && text_[position - 1] == '&' && (text_[position - 2] | 0x20) == 'u';
    std::size_t end = text_.find('"', position + 1);
    // A doubled quote is a character of the identifier.
    bool is_doubled = false;
    while (end < limit && begins(text_, end + 1, limit, "\"")) {
      is_doubled = true;
      end = text_.find('"', end + 2);
    }
    if (end >= limit) return limit;
    if (!is_unicode && !is_doubled && end > position + 1 && text_[position + 1] == '$') {
      auto reference = parse_reference(source_, position + 1, end, ReferenceSyntax::kJsonString);
      if (reference && reference->end == end && reference->form == Reference::Form::kValue) {
        ReferenceSite site;
        site.context = Context::kIdentifier;
        site.in_body = depth > 0;
        site.reference = std::move(*reference);
        scan_.sites.push_back(std::move(site));
      }
    }
    return end + 1;
  }

  // A word, or the prefix of a string.
  std::size_t scan_word(std::size_t position, std::size_t limit, int depth) {
    const char first = static_cast<char>(std::tolower(static_cast<unsigned char>(text_[position])));
    if (first == 'e' && begins(text_, position + 1, limit, "'")) {
      return scan_string(position + 2, limit, Context::kEscapeString, depth);
    }
    if (first == 'u' && begins(text_, position + 1, limit, "&'")) {
      return scan_string(position + 3, limit, Context::kUnicodeString, depth);
    }
    std::size_t end = position;
    while (end < limit && is_identifier_part(text_[end])) ++end;
    std::string word(text_.substr(position, std::min<std::size_t>(end - position, 5)));
    std::transform(word.begin(), word.end(), word.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    const bool is_any = word == "any" || word == "all" || word == "some";
    previous_ = is_any ? Previous::kAnyWord : word == "in" ? Previous::kInWord : Previous::kOther;
    return end;
  }

  std::size_t scan_number(std::size_t position, std::size_t limit) {
    previous_ = Previous::kOther;
    while (position < limit && is_identifier_part(text_[position]) && text_[position] != '$') ++position;
    // "1$n" is not a reference: the '$' belongs to what comes before.
    const bool has_dollar = position < limit && text_[position] == '$' && body_tag(position, limit).empty();
    return has_dollar ? position + 1 : position;
  }

  std::size_t scan_dollar(std::size_t position, std::size_t limit, int depth) {
    const std::string_view tag = body_tag(position, limit);
    if (!tag.empty() && depth < kMaxBodyDepth) return scan_body(position + tag.size(), limit, tag, depth);
    if (auto reference = parse_reference(source_, position, limit, ReferenceSyntax::kCode)) {
      return add_code_site(std::move(*reference), limit, depth);
    }
    previous_ = Previous::kOther;
    ++position;
    while (position < limit && is_digit(text_[position])) ++position;
    return position;
  }

  std::size_t add_code_site(Reference reference, std::size_t limit, int depth) {
    ReferenceSite site;
    site.in_body = depth > 0;
    const std::size_t end = reference.end, next = skip_sql_space(text_.substr(0, limit), end);
    const char next_char = next < limit ? text_[next] : '\0';
    site.touches_string =
        previous_ == Previous::kString || previous_ == Previous::kReference || next_char == '\'';
    site.is_array_argument = previous_ == Previous::kAnyParenthesis && next_char == ')' &&
                             reference.form == Reference::Form::kValue && !reference.is_optional;
    site.is_list = previous_ == Previous::kInParenthesis && next_char == ')' &&
                   reference.form != Reference::Form::kRelation && reference.path.size() <= 1;
    site.reference = std::move(reference);
    scan_.sites.push_back(std::move(site));
    previous_ = Previous::kReference;
    return end;
  }

  // The "$$" or "$tag$" at `position`; empty when no dollar quote begins there.
  std::string_view body_tag(std::size_t position, std::size_t limit) const {
    return text_.substr(position, dollar_tag_length(text_.substr(0, limit), position));
  }

  std::size_t scan_body(std::size_t begin, std::size_t limit, std::string_view tag, int depth) {
    const std::size_t closing = text_.substr(0, limit).find(tag, begin);
    const std::size_t end = closing == std::string_view::npos ? limit : closing;
    scan_.bodies.push_back({begin, end, std::string(tag)});
    scan_code(begin, end, depth + 1);
    previous_ = Previous::kString;
    return std::min(end + tag.size(), limit);
  }

  // `position` is after the opening quote; returns the position after the closing one, continuations
  // included.
  std::size_t scan_string(std::size_t position, std::size_t limit, Context context, int depth) {
    while (position < limit) {
      const char c = text_[position];
      if ((c == '\\' && context == Context::kEscapeString) ||
          (c == '\'' && begins(text_, position + 1, limit, "'"))) {
        position += 2;
      } else if (c == '\'') {
        const std::size_t continued = continuation(position + 1, limit);
        if (continued == 0) {
          previous_ = Previous::kString;
          return position + 1;
        }
        position = continued;
      } else if (c == '$') {
        position = scan_dollar_in_string(position, limit, context, depth);
      } else {
        ++position;
      }
    }
    previous_ = Previous::kString;
    return limit;
  }

  std::size_t scan_dollar_in_string(std::size_t position, std::size_t limit, Context context, int depth) {
    auto reference = parse_reference(source_, position, limit, ReferenceSyntax::kString);
    if (!reference) return skip_dollar_in_text(source_, position, limit);
    ReferenceSite site;
    site.context = context;
    site.in_body = depth > 0;
    site.reference = std::move(*reference);
    const std::size_t end = site.reference.end;
    scan_.sites.push_back(std::move(site));
    return end;
  }

  // A string goes on, in the same mode, when its next piece is on another line. Returns the position inside
  // that piece, or 0. Only line comments may come between.
  std::size_t continuation(std::size_t position, std::size_t limit) const {
    bool has_newline = false;
    while (position < limit) {
      const char c = text_[position];
      if (begins(text_, position, limit, "--")) {
        position = skip_line_comment(text_.substr(0, limit), position);
      } else if (is_sql_space(c)) {
        has_newline = has_newline || is_sql_newline(c);
        ++position;
      } else {
        return has_newline && c == '\'' ? position + 1 : 0;
      }
    }
    return 0;
  }

  const ExpandedTemplate& source_;
  std::string_view text_;
  ReferenceSites scan_;
  Previous previous_ = Previous::kOther;
};

}  // namespace

ReferenceSites find_reference_sites(const ExpandedTemplate& source) {
  return Scanner(source).run();
}

}  // namespace durabled::dsl
