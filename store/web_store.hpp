// What durabled ui asks of the schema in the name of a person: reads that return JSON as PostgreSQL wrote it, and
// actions. Row-level security decides what the role sees.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/store_error.hpp"

namespace durabled::store {

// What PostgreSQL said, in parts. `text` is its message alone; what() adds the operation.
class WebError : public StoreError {
 public:
  WebError(Kind kind, const std::string& operation, const std::string& text, const std::string& sqlstate = {},
           std::string hint = {})
      : StoreError(kind, operation, text, sqlstate), text_(text), hint_(std::move(hint)) {}
  const std::string& text() const { return text_; }
  const std::string& hint() const { return hint_; }

 private:
  std::string text_, hint_;
};

// Who acts, and where.
struct WebFacts {
  std::string role, database, server_version;
  bool is_operator = false;
  bool is_bound = true;  // row-level security binds the role; not the schema's owner, and no superuser
  int schema = 0, known_schema = 0;
};

// Which instances. What is not given does not matter.
struct WebFilter {
  std::vector<std::string> statuses;
  std::optional<std::string> label, role, database, code,
      id;                                   // label: a LIKE pattern where it has %; id: its beginning
  std::optional<std::string> since, until;  // a time, or how long ago ("2h")
  bool last_week = false;                   // instead of `since`
};

struct WebPage {
  int limit = 50;
  std::optional<std::string> cursor;
};

struct WebHistory {
  std::optional<std::int64_t> before, after;
  std::vector<std::string> kinds;
  std::optional<std::string> node, scope;
  int limit = 200;
};

enum class WebPart { kText, kVars, kInput, kResult, kError, kGraph, kEvent, kSignal, kQuery };

struct WebAction {
  std::string action;  // cancel pause resume signal rerun
  std::string id;
  std::optional<std::string> reason, expect_status, from_node;
  std::string name, data;  // of a signal; the data is JSON as text
};

struct WebActed {
  bool changed = false;  // expect_status is no longer true, and nothing was done
  std::string message;
  std::optional<std::string> status_before, status, new_id;
};

// How far watched instances have come: `mark` differs whenever something about one of them has changed.
struct WebMark {
  std::string id, mark;
};
struct WebProbe {
  std::vector<WebMark> marks;
  bool has_new = false;  // an instance was made in the last seconds
};

// One connection. Each function is one transaction of the role that acts; a read is read-only and ends after
// 5 seconds (57014). Where the function returns optional<string> it is JSON, nullopt where the person sees no such thing.
// Everything blocks and throws WebError. Not thread-safe.
class WebStore {
 public:
  // With the credentials of the string, libpq's environment and files.
  explicit WebStore(const std::string& conninfo);
  // With these alone: host, port, database and TLS are those of `conninfo`, and the server must have asked for the
  // password. Throws WebError with SQLSTATE class 28 when it refuses them.
  WebStore(const std::string& conninfo, const std::string& user, const std::string& password);
  ~WebStore();

  // Each later transaction is this role's; "": of whoever is logged in. Requires that the role that is logged in may SET
  // ROLE to it. `sees_own_only`: it is no operator, so that lists need to look at its own rows only.
  void act_as(const std::string& role, bool sees_own_only);
  bool is_broken() const;

  // Throws WebError (kPermanent) where the schema is not there, or may not be used.
  WebFacts facts();

  std::string settings();
  std::string overview();
  std::string instances(const WebFilter& filter, const WebPage& page);
  std::optional<std::string> instance(const std::string& id);
  std::optional<std::string> graph(const std::string& id);
  std::optional<std::string> history(const std::string& id, const WebHistory& which);
  std::optional<std::string> event(const std::string& id, std::int64_t seq);
  std::optional<std::string> node(const std::string& id, const std::string& node, const WebHistory& which);
  std::optional<std::string> text(const std::string& id);
  std::optional<std::string> signals(const std::string& id);
  std::optional<std::string> reruns(const std::string& id);
  // The whole text, not JSON of ours. `which`: the seq, the signal's id, or the node.
  std::optional<std::string> payload(const std::string& id, WebPart part, const std::string& which);
  std::string waiting(const std::vector<std::string>& kinds, int limit);
  std::string label(const std::string& label);
  std::string labels();
  std::string workers();

  WebActed act(const WebAction& action);
  // Those that the action can change, at most 10,000.
  std::string matching(const std::string& action, const WebFilter& filter);

  // One statement. With `look_for_new`, an instance that was made in the last `seconds`.
  WebProbe probe(const std::vector<std::string>& ids, bool look_for_new, double seconds);
  // The events of an instance above `after`, with its row and states.
  std::optional<std::string> moved(const std::string& id, std::int64_t after);
  // The rows of those that the person sees, by id.
  std::map<std::string, std::string> rows(const std::vector<std::string>& ids);
  // How many instances are newer than the cursor: {"new", "new_capped"} without braces.
  std::string newer(const WebFilter& filter, const std::string& cursor);

  class Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace durabled::store
