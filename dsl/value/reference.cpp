#include "dsl/value/reference.hpp"

#include <algorithm>

#include "dsl/value/characters.hpp"

namespace durabled::dsl {
namespace {

// No document of a user's is as deep; each part costs a walk over what the parts before it lead to.
constexpr std::size_t kMaxParts = 100;

class ReferenceParser {
 public:
  ReferenceParser(const ExpandedTemplate& source, std::size_t position, std::size_t limit,
                  ReferenceSyntax syntax)
      : source_(source), position_(position), limit_(std::min(limit, source.text.size())), syntax_(syntax) {}

  std::optional<Reference> parse() {
    reference_.begin = position_;
    if (!is_own(position_)) return std::nullopt;
    ++position_;
    if (own_is(position_, '{')) return parse_in_braces();
    if (!own_is(position_, is_name_start)) return std::nullopt;
    reference_.name = take_name();
    // In SQL the lexer decides what opens a dollar-quoted string, whoever wrote the characters.
    const bool is_tag =
        is_code() ? position_ < limit_ && source_.text[position_] == '$' : own_is(position_, '$');
    if (is_tag) return std::nullopt;
    parse_path(is_code());
    parse_suffix();
    reference_.end = position_;
    return std::move(reference_);
  }

 private:
  std::optional<Reference> parse_in_braces() {
    ++position_;
    if (own_is(position_, '}') && !is_code()) {
      reference_.form = Reference::Form::kDollar;
      reference_.end = position_ + 1;
      return std::move(reference_);
    }
    if (!own_is(position_, is_name_start)) return std::nullopt;
    reference_.name = take_name();
    parse_path(syntax_ != ReferenceSyntax::kJsonString);
    if (!parse_brackets() && own_is(position_, '?')) {
      reference_.is_optional = true;
      ++position_;
    }
    if (!own_is(position_, '}')) return std::nullopt;
    reference_.end = position_ + 1;
    return std::move(reference_);
  }

  bool is_code() const { return syntax_ == ReferenceSyntax::kCode; }
  bool is_own(std::size_t position) const { return position < limit_ && source_.is_own(position); }
  bool own_is(std::size_t position, char c) const { return is_own(position) && source_.text[position] == c; }
  bool own_is(std::size_t position, bool (*accepts)(char)) const {
    return is_own(position) && accepts(source_.text[position]);
  }

  std::string take_name() {
    const std::size_t begin = position_;
    while (own_is(position_, is_name_char)) ++position_;
    return source_.text.substr(begin, position_ - begin);
  }

  // "Total ""Sum""" at `position_`; nullopt, and nothing taken, when it does not end.
  std::optional<std::string> take_quoted() {
    std::string name;
    for (std::size_t i = position_ + 1; is_own(i); ++i) {
      if (source_.text[i] == '"' && !own_is(i + 1, '"')) {
        position_ = i + 1;
        return name;
      }
      if (source_.text[i] == '"') ++i;
      name += source_.text[i];
    }
    return std::nullopt;
  }

  void parse_path(bool may_quote) {
    while (own_is(position_, '.') && reference_.path.size() < kMaxParts) {
      if (own_is(position_ + 1, '*') && reference_.path.empty()) {
        position_ += 2;
        reference_.form = Reference::Form::kRelation;
        return;
      }
      ++position_;
      if (own_is(position_, is_name_char)) {
        reference_.path.push_back(take_name());
        continue;
      }
      auto quoted = may_quote && own_is(position_, '"') ? take_quoted() : std::nullopt;
      if (!quoted) {
        --position_;
        return;
      }
      reference_.path.push_back(std::move(*quoted));
    }
  }

  // True: nothing more may follow.
  bool parse_brackets() {
    if (reference_.form == Reference::Form::kRelation) return true;
    if (!own_is(position_, '[') || !own_is(position_ + 1, ']')) return false;
    reference_.form = Reference::Form::kArray;
    position_ += 2;
    return true;
  }

  void parse_suffix() {
    if (parse_brackets() || !own_is(position_, '?') || !takes_question_mark()) return;
    reference_.is_optional = true;
    ++position_;
  }

  bool takes_question_mark() const {
    const std::size_t next = position_ + 1;
    switch (syntax_) {
      case ReferenceSyntax::kCode:
        return true;
      case ReferenceSyntax::kString:
      case ReferenceSyntax::kJsonString:
        return false;
      case ReferenceSyntax::kText:
        return next >= limit_ || !is_name_char(source_.text[next]);
      case ReferenceSyntax::kUrlPath:
        return next >= limit_;
    }
    return false;
  }

  const ExpandedTemplate& source_;
  std::size_t position_;
  std::size_t limit_;
  ReferenceSyntax syntax_;
  Reference reference_;
};

}  // namespace

std::string Reference::spelling() const {
  if (form == Form::kDollar) return "${}";
  std::string text = "$" + name;
  for (const std::string& part : path) {
    const bool is_plain = !part.empty() && std::all_of(part.begin(), part.end(), is_name_char);
    text += is_plain ? "." + part : ".\"" + part + "\"";
  }
  if (form == Form::kArray) text += "[]";
  if (form == Form::kRelation) text += ".*";
  return text;
}

std::optional<Reference> parse_reference(const ExpandedTemplate& source, std::size_t position,
                                         std::size_t limit, ReferenceSyntax syntax) {
  return ReferenceParser(source, position, limit, syntax).parse();
}

std::size_t skip_dollar_in_text(const ExpandedTemplate& source, std::size_t position, std::size_t limit) {
  if (!source.is_own(position)) return position + 1;
  std::size_t end = position + 1;
  if (end < limit && source.is_own(end) && is_name_start(source.text[end])) {
    while (end < limit && source.is_own(end) && is_name_char(source.text[end])) ++end;
  }
  return end < limit && source.is_own(end, '$') ? end + 1 : position + 1;
}

std::vector<Reference> scan_text(const ExpandedTemplate& source) {
  std::vector<Reference> references;
  const std::string& text = source.text;
  for (std::size_t position = text.find('$'); position != std::string::npos;
       position = text.find('$', position)) {
    auto reference = parse_reference(source, position, text.size(), ReferenceSyntax::kText);
    position = reference ? reference->end : skip_dollar_in_text(source, position, text.size());
    if (reference) references.push_back(std::move(*reference));
  }
  return references;
}

}  // namespace durabled::dsl
