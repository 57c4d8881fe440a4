#include "tests/sim/fake_store.hpp"

#include <algorithm>

#include "dsl/value/json_slice.hpp"

namespace durabled::sim {
namespace {

std::string member(const std::string& json, const char* key) {
  const auto found = dsl::json_member(json, key);
  return found ? dsl::json_text(*found) : "";
}

// `at`: the turn's time.
dsl::Event read_event(const std::string& json, dsl::Time at) {
  dsl::Event event;
  event.seq = std::stoll(member(json, "seq"));
  event.at = at;
  if (const std::string us = member(json, "at_us"); !us.empty())
    event.at += std::chrono::microseconds(std::stoll(us));
  event.kind = dsl::event_kind(member(json, "kind")).value();
  if (const std::string node = member(json, "node"); !node.empty())
    event.address.node = static_cast<dsl::NodeIndex>(std::stoul(node, nullptr, 16));
  event.address.scope = member(json, "scope");
  if (const std::string attempt = member(json, "attempt"); !attempt.empty())
    event.attempt = std::stoi(attempt);
  event.data = std::string(dsl::json_member(json, "data").value_or(""));
  return event;
}

}  // namespace

void FakeStore::submit(const std::string& id, const std::string& dsl, store::RoleId role) {
  Row row;
  row.role = role;
  row.id = id;
  row.dsl = dsl;
  row.wake_at = now;
  rows_[id] = std::move(row);
}

void FakeStore::signal(const std::string& id, const std::string& name, const std::string& data) {
  signals_.push_back({static_cast<std::int64_t>(signals_.size()) + 1, id, name, data, now});
}

void FakeStore::request(const std::string& id, const std::string& what) {
  Row& row = rows_.at(id);
  if (row.ended()) return;
  row.request = what;
  row.attention = true;
  if (what == "cancel") {
    dsl::Event event;
    event.seq = row.events.empty() ? 1 : row.events.rbegin()->first + 1;
    event.at = now;
    event.kind = dsl::EventKind::kInstanceCancelled;
    event.data = R"({"error":{"message":"cancelled","code":"cancelled"}})";
    insert(row, event);
    row.status = "cancelled";
    row.error = R"({"message":"cancelled","code":"cancelled"})";
    ++row.token;
    row.wake_at.reset();
    return;
  }
  if (row.worker != 0) return;
  if (what == "pause") {
    row.status = "paused";
    row.wake_at.reset();
  } else if (what == "resume" && row.status == "paused") {
    row.status = row.token == 0 ? "pending" : "running";
    row.wake_at = now;
  }
}

void FakeStore::release(int worker) {
  workers_.erase(worker);
  for (auto& [id, row] : rows_) {
    if (row.worker != worker) continue;
    row.worker = 0;
    row.attention = row.ended();
    if (!row.ended()) row.wake_at = now;
  }
}

void FakeStore::deliver() {
  for (StoredSignal& signal : signals_) {
    if (signal.delivered) continue;
    signal.delivered = true;
    Row& row = rows_.at(signal.instance);
    if (row.ended()) continue;
    row.attention = true;
    if (row.worker == 0 && row.status == "running") row.wake_at = now;
  }
}

std::vector<store::Signal> FakeStore::untaken(const std::string& id) const {
  std::vector<store::Signal> result;
  for (const StoredSignal& signal : signals_) {
    if (signal.instance != id || signal.taken) continue;
    // As if the data of every other one were long.
    result.push_back({signal.id, signal.name, signal.id % 2 == 0 ? std::optional(signal.data) : std::nullopt,
                      signal.sent_at});
  }
  return result;
}

std::string FakeStore::signal_data(std::int64_t signal_id) const {
  return signals_.at(static_cast<std::size_t>(signal_id) - 1).data;
}

store::ClaimedInstance FakeStore::read(Row& row) {
  row.seen_seq = row.events.empty() ? 0 : row.events.rbegin()->first;
  store::ClaimedInstance instance;
  instance.id = row.id;
  instance.token = row.token;
  instance.dsl = row.dsl;
  instance.dsl_bytes = row.dsl.size();
  instance.role_id = row.role;
  instance.vars = "{}";
  instance.role = "somebody";
  instance.may_http = true;
  instance.database = "here";
  instance.request = row.request;
  for (const auto& [seq, event] : row.events) instance.history.push_back(event);
  instance.signals = untaken(row.id);
  return instance;
}

// Roles take turns, as in df._poll.
store::PollResult FakeStore::poll(int worker, const store::PollRequest& request) {
  store::PollResult result;
  if (workers_.count(worker) == 0) return result;  // the real one says that it is not registered
  deliver();
  std::map<std::pair<bool, store::RoleId>, std::vector<Row*>> due;  // the role after request.after first
  for (auto& [id, row] : rows_) {
    if (row.ended() && row.attention && (row.worker == worker || row.worker == 0)) {
      row.attention = false;
      row.worker = 0;
      result.ended.push_back({id, row.status, "", row.error, "somebody", 0});
    } else if (row.worker == worker && row.attention) {
      row.attention = false;
      result.attention.push_back({id, row.token, row.request, "", untaken(id)});
    }
    if (row.worker == 0 && row.wake_at && *row.wake_at <= now && request.busy.count(row.role) == 0)
      due[{row.role <= request.after, row.role}].push_back(&row);
  }
  int room = request.limit;
  result.served = request.after;
  const std::size_t each = static_cast<std::size_t>(request.each.value_or(room));
  for (std::size_t turn = 0; turn < each && room > 0; ++turn) {
    for (auto& [order, rows] : due) {
      if (room == 0 || rows.size() <= turn) continue;
      Row& row = *rows[turn];
      --room;
      result.served = order.second;
      row.worker = worker;
      ++row.token;
      row.wake_at.reset();
      row.attention = false;
      row.status = "running";
      result.claimed.push_back(read(row));
    }
  }
  result.more = room == 0;
  return result;
}

std::optional<store::ClaimedInstance> FakeStore::reclaim(int worker, const std::string& id) {
  Row& row = rows_.at(id);
  if (row.worker != worker || row.ended()) return std::nullopt;
  ++row.token;
  return read(row);
}

std::optional<store::TurnProblem> FakeStore::commit(int worker, const store::Turn& turn) {
  Row& row = rows_.at(turn.instance_id);
  if (row.worker != worker || row.token != turn.token)
    return store::TurnProblem{turn.instance_id, store::TurnProblem::Kind::kLost, ""};
  if (std::to_string(row.token) != member(turn.json, "token")) throw Violation("a turn whose tokens differ");
  apply_turn(row, turn.json, dsl::parse_time(member(turn.json, "at")).value());
  return std::nullopt;
}

bool FakeStore::commit_step(int worker, const store::StepCommit& commit, const std::string& effect) {
  Row& row = rows_.at(commit.instance_id);
  if (row.worker != worker || row.token != commit.token) return false;
  ++effects_[effect];
  insert(row, commit.event);
  if (!commit.turn.empty()) apply_turn(row, commit.turn, commit.event.at);
  return true;
}

void FakeStore::insert(Row& row, dsl::Event event) {
  const std::string where =
      row.id + " seq " + std::to_string(event.seq) + ' ' + std::string(to_string(event.kind));
  if (row.ended()) throw Violation("an event after the end: " + where);
  if (event.seq <= row.seen_seq) throw Violation("an event before one that was read: " + where);
  if (event.kind == dsl::EventKind::kStepCompleted) {
    const std::string step = row.id + '/' + dsl::node_id(event.address.node) + '@' + event.address.scope;
    if (!completed_steps_.insert(step).second) throw Violation("a step recorded twice: " + where);
  }
  if (!row.events.emplace(event.seq, event).second) throw Violation("two events with one seq: " + where);
}

void FakeStore::apply_turn(Row& row, const std::string& turn, dsl::Time at) {
  const std::string events(dsl::json_member(turn, "events").value_or("[]"));
  for (dsl::JsonWalker walker(events); walker.next();)
    insert(row, read_event(std::string(walker.value()), at));
  const std::string signals(dsl::json_member(turn, "signals").value_or("[]"));
  for (dsl::JsonWalker walker(signals); walker.next();) {
    StoredSignal& signal = signals_.at(std::stoul(member(std::string(walker.value()), "id")) - 1);
    if (signal.taken || signal.instance != row.id) throw Violation("a signal taken twice: " + row.id);
    signal.taken = true;
  }
  const std::string prune(dsl::json_member(turn, "prune").value_or("[]"));
  for (dsl::JsonWalker walker(prune); walker.next();)
    row.events.erase(std::stoll(std::string(walker.value())));
  const std::string status = member(turn, "status");
  if (status.empty()) return;
  if (status == "waiting" || status == "paused") return put_down(row, turn, status);
  row.status = status;
  row.worker = 0;
  row.wake_at.reset();
  row.attention = false;
  row.error = member(turn, "error");
  if (const std::string seq = member(turn, "result_seq"); !seq.empty()) row.result_seq = std::stoll(seq);
}

void FakeStore::put_down(Row& row, const std::string& turn, const std::string& status) {
  const bool waiting = status == "waiting";
  if (const std::string error = member(turn, "error"); !error.empty()) {
    std::string history;
    for (const auto& [seq, event] : row.events) {
      history += "\n  " + std::to_string(seq) + ' ' + std::string(to_string(event.kind));
      if (event.address.node != dsl::kNoNode)
        history += ' ' + dsl::node_id(event.address.node) + '@' + event.address.scope;
    }
    throw Violation("parked: " + row.id + ": " + error + history);
  }
  const bool overtaken = row.attention || row.request != member(turn, "request") ||
                         (waiting && untaken(row.id).size() > std::stoul(member(turn, "inbox")));
  row.worker = 0;
  row.attention = false;
  row.status = !waiting && !overtaken ? "paused" : "running";
  row.wake_at.reset();
  const std::string wake_at = member(turn, "wake_at");
  if (overtaken) {
    row.wake_at = now;
  } else if (waiting && !wake_at.empty()) {
    row.wake_at = dsl::parse_time(wake_at).value();
  }
}

std::string FakeStore::result(const std::string& id) const {
  const Row& row = rows_.at(id);
  if (row.result_seq == 0) return row.status + ' ' + row.error;
  const auto event = row.events.find(row.result_seq);
  if (event == row.events.end()) throw Violation("the result's event is gone: " + id);
  return row.status + ' ' + event->second.data;
}

}  // namespace durabled::sim
