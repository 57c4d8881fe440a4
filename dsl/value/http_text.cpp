#include "dsl/value/http_text.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <optional>

#include "dsl/value/characters.hpp"
#include "dsl/value/json_writer.hpp"
#include "dsl/value/reference.hpp"
#include "dsl/value/render.hpp"
#include "dsl/value/variables.hpp"

namespace durabled::dsl {
namespace {

enum class Encoding { kRaw, kJsonString, kJsonValue, kPercent };

struct Site {
  Reference reference;
  Encoding encoding = Encoding::kRaw;
  bool in_path = false;  // of a URL
};

// The pieces as one template, with a character that nobody wrote between each two.
struct Joined {
  ExpandedTemplate source;
  std::vector<std::size_t> holes;
};

constexpr char kHole = '\x1a';

Joined join(const std::vector<std::string>& pieces, const Bindings& bindings) {
  Joined joined;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const ExpandedTemplate piece = expand_variables(pieces[i], bindings.variables, bindings.names);
    joined.source.is_too_long |= piece.is_too_long;
    if (i > 0) {
      joined.holes.push_back(joined.source.text.size());
      joined.source.text += kHole;
      joined.source.inserted.push_back(true);
    }
    joined.source.text += piece.text;
    joined.source.inserted.insert(joined.source.inserted.end(), piece.inserted.begin(), piece.inserted.end());
  }
  return joined;
}

bool is_hole(const Joined& joined, std::size_t position) {
  return std::binary_search(joined.holes.begin(), joined.holes.end(), position);
}

bool is_json(const std::string& text) {
  boost::json::parse_options options;
  options.max_depth = 1'000;
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(text, error, {}, options);
  return !error;
}

// The references of a body that is JSON once each is replaced by a value; nullopt for any other body.
std::optional<std::vector<Site>> scan_json(const Joined& joined) {
  const std::string& text = joined.source.text;
  std::vector<Site> sites;
  std::string probe;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == kHole && is_hole(joined, i)) {
      if (!in_string) probe += "null";
      ++i;
      continue;
    }
    const auto syntax = in_string ? ReferenceSyntax::kJsonString : ReferenceSyntax::kCode;
    auto reference = c == '$' ? parse_reference(joined.source, i, text.size(), syntax) : std::nullopt;
    if (reference) {
      if (!in_string) probe += "null";
      i = reference->end;
      sites.push_back(
          {std::move(*reference), in_string ? Encoding::kJsonString : Encoding::kJsonValue, false});
      continue;
    }
    const std::size_t begin = i;
    if (c == '$' && in_string) {
      i = skip_dollar_in_text(joined.source, i, text.size());
    } else {
      i += c == '\\' && in_string ? 2 : 1;
    }
    if (c == '"') in_string = !in_string;
    probe.append(text, begin, i - begin);
  }
  if (!is_json(probe)) return std::nullopt;
  return sites;
}

// A URL's parts as its writer's own characters separate them; those of a value never do.
class UrlScanner {
 public:
  explicit UrlScanner(const ExpandedTemplate& source) : source_(source), text_(source.text) {}

  std::vector<Site> run() {
    std::size_t position = 0;
    while (position < text_.size()) {
      auto reference =
          text_[position] == '$' ? parse_reference(source_, position, text_.size(), syntax()) : std::nullopt;
      if (reference) {
        const std::size_t end = reference->end;
        const Encoding encoding = encoding_of(*reference);
        sites_.push_back({std::move(*reference), encoding, part_ == Part::kPath});
        position = end;
        continue;
      }
      const std::size_t next =
          text_[position] == '$' ? skip_dollar_in_text(source_, position, text_.size()) : position + 1;
      for (; position < next; ++position) pass(position);
    }
    return std::move(sites_);
  }

 private:
  enum class Part { kBase, kPath, kQueryName, kQueryValue, kFragment };

  ReferenceSyntax syntax() const {
    const bool in_query = part_ == Part::kQueryName || part_ == Part::kQueryValue;
    return in_query ? ReferenceSyntax::kText : ReferenceSyntax::kUrlPath;
  }

  Encoding encoding_of(const Reference& reference) const {
    if (part_ == Part::kBase) return Encoding::kRaw;
    if (part_ != Part::kQueryName) return Encoding::kPercent;
    // ?$query, ?a=b&$more: it brings its own names and values.
    const char before = reference.begin > 0 ? text_[reference.begin - 1] : '\0';
    const char after = reference.end < text_.size() ? text_[reference.end] : '\0';
    const bool is_whole = (before == '?' || before == '&') && (after == '\0' || after == '&' || after == '#');
    return is_whole ? Encoding::kRaw : Encoding::kPercent;
  }

  void pass(std::size_t position) {
    const char c = text_[position];
    if (part_ == Part::kFragment) return;
    if (c == '#') {
      part_ = Part::kFragment;
    } else if (part_ == Part::kQueryName || part_ == Part::kQueryValue) {
      if (c == '&') part_ = Part::kQueryName;
      if (c == '=') part_ = Part::kQueryValue;
    } else if (c == '?') {
      part_ = Part::kQueryName;
    } else if (c == '/' && part_ == Part::kBase) {
      // The two slashes behind the scheme belong to the base, whoever gives the scheme.
      const bool is_second = position > 0 && text_[position - 1] == '/';
      const bool is_first =
          text_.compare(position, 2, "//") == 0 && position > 0 && text_[position - 1] == ':';
      if (!is_first && !(is_second && position > 1 && text_[position - 2] == ':')) part_ = Part::kPath;
    }
  }

  const ExpandedTemplate& source_;
  const std::string& text_;
  std::vector<Site> sites_;
  Part part_ = Part::kBase;
};

std::vector<Site> scan_plain(const ExpandedTemplate& source) {
  std::vector<Site> sites;
  for (Reference& reference : scan_text(source))
    sites.push_back({std::move(reference), Encoding::kRaw, false});
  return sites;
}

bool is_one_reference(const std::vector<Site>& sites, const std::string& text) {
  return sites.size() == 1 && sites.front().reference.begin == 0 &&
         sites.front().reference.end == text.size();
}

std::vector<Site> scan(const Joined& joined, HttpText kind) {
  std::vector<Site> plain = scan_plain(joined.source);
  if (kind == HttpText::kPlain || plain.empty() || is_one_reference(plain, joined.source.text)) return plain;
  if (kind == HttpText::kUrl) return UrlScanner(joined.source).run();
  return scan_json(joined).value_or(std::move(plain));
}

bool is_unreserved(char c) {
  return is_name_char(c) || c == '-' || c == '.' || c == '~';
}

void append_percent_encoded(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_unreserved(c)) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

void append_json_escaped(std::string& out, std::string_view text) {
  std::string quoted;
  append_json_string(quoted, text);
  out.append(quoted, 1, quoted.size() - 2);
}

// "." and "..", in any spelling: a server would climb with it.
bool is_dot_segment(std::string_view segment) {
  std::size_t dots = 0;
  for (std::size_t i = 0; i < segment.size(); ++dots) {
    const bool is_escaped = segment.substr(i, 3) == "%2e" || segment.substr(i, 3) == "%2E";
    if (segment[i] != '.' && !is_escaped) return false;
    i += is_escaped ? 3 : 1;
  }
  return dots == 1 || dots == 2;
}

class Filler {
 public:
  Filler(const Joined& joined, const Bindings& bindings, Notes* notes)
      : joined_(joined), text_(joined.source.text), bindings_(bindings), notes_(notes) {}

  Expected<std::vector<std::string>, SubstitutionError> run(const std::vector<Site>& sites) {
    pieces_.emplace_back();
    for (const Site& site : sites) {
      copy_to(site.reference.begin);
      if (auto error = add(site)) return Unexpected{std::move(*error)};
      if (size_ + pieces_.back().size() > bindings_.max_bytes)
        return Unexpected{too_long(bindings_.max_bytes)};
    }
    copy_to(text_.size());
    if (size_ + pieces_.back().size() > bindings_.max_bytes) return Unexpected{too_long(bindings_.max_bytes)};
    return std::move(pieces_);
  }

 private:
  std::optional<SubstitutionError> add(const Site& site) {
    const Reference& reference = site.reference;
    std::string& out = pieces_.back();
    if (reference.form == Reference::Form::kDollar) {
      out += '$';
      copied_ = reference.end;
      return std::nullopt;
    }
    const ResultPtr result = bindings_.names.find(reference.name);
    if (result == nullptr) {
      if (site.encoding == Encoding::kJsonValue) return not_bound(reference, bindings_.names);
      return std::nullopt;  // text that looks like a reference; copied with what follows
    }
    const bool is_value = site.encoding == Encoding::kJsonValue;
    const Rendered rendered = is_value ? render_json(reference, *result) : render_text(reference, *result);
    if (!rendered) return rendered.error();
    if (notes_ != nullptr && leaves_rows_out(reference, *result)) notes_->add_first_row(reference.spelling());
    copied_ = reference.end;
    switch (site.encoding) {
      case Encoding::kRaw:
        if (rendered->find('\0') != std::string::npos) return has_nul(reference);
        out += *rendered;
        return std::nullopt;
      case Encoding::kJsonValue:
        out += *rendered;
        return std::nullopt;
      case Encoding::kJsonString:
        append_json_escaped(out, *rendered);
        return std::nullopt;
      case Encoding::kPercent:
        append_percent_encoded(out, *rendered);
        return site.in_path ? check_segment(reference) : std::nullopt;
    }
    return std::nullopt;
  }

  // Whether the value, with what its writer put beside it, makes a segment that climbs. A reference or a secret
  // behind it is looked at when its turn comes, or cannot be.
  std::optional<SubstitutionError> check_segment(const Reference& reference) const {
    const std::size_t end = std::min(text_.find_first_of("/?#$\x1a", copied_), text_.size());
    if (end < text_.size() && (text_[end] == '$' || text_[end] == kHole)) return std::nullopt;
    const std::string& out = pieces_.back();
    const std::size_t slash = out.rfind('/');
    if (slash == std::string::npos) return std::nullopt;
    if (!is_dot_segment(out.substr(slash + 1) + text_.substr(copied_, end - copied_))) return std::nullopt;
    return SubstitutionError{
        reference.spelling() +
        " makes \".\" or \"..\" of a segment of the URL's path, which would lead elsewhere"};
  }

  void copy_to(std::size_t end) {
    while (next_hole_ < joined_.holes.size() && joined_.holes[next_hole_] < end) {
      const std::size_t hole = joined_.holes[next_hole_++];
      pieces_.back().append(text_, copied_, hole - copied_);
      size_ += pieces_.back().size();
      pieces_.emplace_back();
      copied_ = hole + 1;
    }
    pieces_.back().append(text_, copied_, end - copied_);
    copied_ = end;
  }

  const Joined& joined_;
  const std::string& text_;
  const Bindings& bindings_;
  Notes* notes_;
  std::vector<std::string> pieces_;
  std::size_t copied_ = 0, next_hole_ = 0, size_ = 0;
};

}  // namespace

Expected<std::vector<std::string>, SubstitutionError> substitute_http(const std::vector<std::string>& pieces,
                                                                      HttpText kind, const Bindings& bindings,
                                                                      Notes* notes) {
  const Joined joined = join(pieces, bindings);
  if (joined.source.is_too_long) return Unexpected{too_long()};
  return Filler(joined, bindings, notes).run(scan(joined, kind));
}

std::vector<std::string> unencoded_references(std::string_view text, HttpText kind) {
  const Joined joined = join({std::string(text)}, {{}, {}});
  const std::string& whole = joined.source.text;
  std::vector<std::string> found;
  const std::size_t first = whole.find_first_not_of(" \t\r\n");
  const bool looks_like_json = first != std::string::npos && (whole[first] == '{' || whole[first] == '[');
  if (kind == HttpText::kPlain || (kind == HttpText::kBody && !looks_like_json)) return found;
  const std::vector<Site> sites = scan(joined, kind);
  if (is_one_reference(sites, whole)) return found;
  for (const Site& site : sites) {
    const bool is_base = kind == HttpText::kUrl && site.reference.begin == 0;
    const bool is_name = site.reference.form != Reference::Form::kDollar;
    if (site.encoding == Encoding::kRaw && is_name && !is_base) found.push_back(site.reference.spelling());
  }
  return found;
}

std::set<std::string> names_in_json(std::string_view body) {
  std::set<std::string> names;
  if (!variable_names(body).empty()) return names;
  const Joined joined = join({std::string(body)}, {{}, {}});
  for (const Site& site : scan(joined, HttpText::kBody)) {
    if (site.encoding == Encoding::kJsonValue && !site.reference.name.empty())
      names.insert(site.reference.name);
  }
  return names;
}

}  // namespace durabled::dsl
