#include "tests/sim/fake_store.hpp"

#include <algorithm>

#include "dsl/value/json_slice.hpp"

namespace durabled::sim {
namespace {

constexpr std::size_t kShortData = 1024;  // of a signal, which comes unasked

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

Row& FakeStore::submit(const std::string& id, const std::string& dsl, store::RoleId role) {
  Row row;
  row.role = role;
  row.id = id;
  row.dsl = dsl;
  row.wake_at = now;
  return rows_[id] = std::move(row);
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
    row.completed_at = now;
    return;
  }
  if (row.worker != 0) return;
  if (what == "pause") {
    row.status = "paused";  // wake_at stays: a start that was set for later is kept
  } else if (what == "resume" && row.status == "paused") {
    row.status = row.started ? "running" : "pending";
    row.wake_at = row.wake_at.value_or(now);
    row.error.clear();
  }
}

bool FakeStore::heartbeat(int worker) {
  const auto found = workers_.find(worker);
  if (found == workers_.end()) return false;
  found->second = now;
  return true;
}

int FakeStore::release(int worker) {
  workers_.erase(worker);
  int released = 0;
  for (auto& [id, row] : rows_) {
    if (row.worker != worker) continue;
    ++released;
    row.worker = 0;
    row.attention = row.ended();
    if (!row.ended()) row.wake_at = now;
  }
  return released;
}

int FakeStore::release_dead(int worker, std::chrono::milliseconds ttl) {
  std::vector<int> dead;
  for (const auto& [other, heard_of] : workers_) {
    if (other != worker && heard_of < now - ttl) dead.push_back(other);
  }
  int released = 0;
  for (const int one : dead) released += release(one);
  return released;
}

std::vector<std::pair<std::string, std::int64_t>> FakeStore::held(int worker) const {
  std::vector<std::pair<std::string, std::int64_t>> result;
  for (const auto& [id, row] : rows_) {
    if (row.worker == worker && !row.ended()) result.emplace_back(id, row.token);
  }
  return result;
}

int FakeStore::give_back(int worker, const std::vector<std::pair<std::string, std::int64_t>>& instances) {
  int given_back = 0;
  for (const auto& [id, token] : instances) {
    const auto found = rows_.find(id);
    if (found == rows_.end()) continue;
    Row& row = found->second;
    if (row.worker != worker || row.token != token || row.ended()) continue;
    ++given_back;
    row.worker = 0;
    row.attention = false;
    row.wake_at = now;
  }
  return given_back;
}

int FakeStore::prune(std::chrono::seconds age, int batch) {
  std::vector<const Row*> old;
  for (const auto& [id, row] : rows_) {
    if (row.completed_at && *row.completed_at < now - age) old.push_back(&row);
  }
  std::sort(old.begin(), old.end(),
            [](const Row* a, const Row* b) { return a->completed_at < b->completed_at; });
  old.resize(std::min(old.size(), static_cast<std::size_t>(batch)));
  std::vector<std::string> ids;
  for (const Row* row : old) ids.push_back(row->id);
  for (const std::string& id : ids) rows_.erase(id);
  return static_cast<int>(ids.size());
}

void FakeStore::deliver() {
  for (StoredSignal& signal : signals_) {
    if (signal.delivered) continue;
    signal.delivered = true;
    Row& row = rows_.at(signal.instance);
    if (row.ended()) continue;
    row.attention = true;
    row.unread_signal = std::min(row.unread_signal.value_or(signal.id), signal.id);
    if (row.worker == 0 && row.status == "running") row.wake_at = now;
  }
}

std::vector<store::Signal> FakeStore::untaken(const std::string& id, std::int64_t first) const {
  std::vector<store::Signal> result;
  for (const StoredSignal& signal : signals_) {
    if (signal.instance != id || signal.taken || signal.id < first) continue;
    // As if the data of every other one were long.
    const bool is_short = signal.id % 2 == 0 && signal.data.size() <= kShortData;
    result.push_back(
        {signal.id, signal.name, is_short ? std::optional(signal.data) : std::nullopt, signal.sent_at});
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
  instance.claim_key = row.claim_key;
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

std::size_t FakeStore::bytes(const Row& row, std::size_t longest_text) const {
  std::size_t sum = row.dsl.size() > longest_text ? 0 : 16 * row.dsl.size();
  for (const auto& [seq, event] : row.events) sum += 100 + event.data.size();
  return sum + signal_bytes(untaken(row.id));
}

std::size_t FakeStore::signal_bytes(const std::vector<store::Signal>& signals) {
  std::size_t sum = 0;
  for (const store::Signal& signal : signals)
    sum += 100 + signal.name.size() + signal.data.value_or("").size();
  return sum;
}

// What does not fit is left for the next poll; returns whether something was.
bool FakeStore::read_attention(int worker, std::size_t most_bytes, std::vector<store::Attention>& result) {
  std::size_t spent = 0;
  bool left = false;
  for (auto& [id, row] : rows_) {
    if (row.worker != worker || !row.attention) continue;
    std::vector<store::Signal> signals;
    if (row.unread_signal) signals = untaken(id, *row.unread_signal);
    const std::size_t bytes = signal_bytes(signals);
    if (spent + bytes > most_bytes && !result.empty()) {
      left = true;
      continue;
    }
    spent += bytes;
    row.attention = false;
    row.unread_signal.reset();
    result.push_back({id, row.token, row.request, "", std::move(signals)});
  }
  return left;
}

FakeStore::Due FakeStore::due(const store::PollRequest& request) {
  Due result;
  for (auto& [id, row] : rows_) {
    if (row.free() && *row.wake_at <= now && request.busy.count(row.role) == 0)
      result[{row.role <= request.after, row.role}].push_back(&row);
  }
  for (auto& [order, rows] : result) {
    std::stable_sort(rows.begin(), rows.end(), [](const Row* a, const Row* b) {
      return std::pair(-a->priority, *a->wake_at) < std::pair(-b->priority, *b->wake_at);
    });
  }
  return result;
}

// Roles take turns, as in df._poll.
store::PollResult FakeStore::poll(int worker, const store::PollRequest& request) {
  store::PollResult result;
  if (workers_.count(worker) == 0) return result;  // the real one says that it is not registered
  deliver();
  for (auto& [id, row] : rows_) {
    if (row.ended() && row.attention && (row.worker == worker || row.worker == 0)) {
      row.attention = false;
      row.worker = 0;
      result.ended.push_back({id, row.status, "", row.error, "somebody", 0});
    }
  }
  const bool left = read_attention(worker, request.bytes, result.attention);
  int room = request.limit;
  std::size_t spent = 0;
  bool full = false;
  result.served = request.after;
  const Due roles = due(request);
  const std::size_t each = static_cast<std::size_t>(request.each.value_or(room));
  for (std::size_t turn = 0; turn < each && room > 0 && !full; ++turn) {
    for (const auto& [order, rows] : roles) {
      if (room == 0 || full || rows.size() <= turn) continue;
      Row& row = *rows[turn];
      const std::size_t size = bytes(row, request.longest_text);
      full = spent > 0 && spent + size > request.bytes;
      if (full) continue;
      spent += std::max<std::size_t>(size, 1);
      --room;
      result.served = order.second;
      row.worker = worker;
      row.claim_key = "key of claim " + std::to_string(++row.token);
      row.wake_at.reset();
      row.attention = false;
      row.unread_signal.reset();
      row.status = "running";
      row.started = true;
      result.claimed.push_back(read(row));
      if (row.dsl.size() > request.longest_text) result.claimed.back().dsl.clear();
    }
  }
  result.more = request.limit > 0 ? full || room == 0 : left;
  for (const auto& [id, row] : rows_) {
    if (request.limit > 0 && row.free() && *row.wake_at > now)
      result.next_wake = std::min(result.next_wake.value_or(*row.wake_at), *row.wake_at);
  }
  if (left) result.next_wake = now;
  return result;
}

std::optional<store::ClaimedInstance> FakeStore::reclaim(int worker, const std::string& id) {
  Row& row = rows_.at(id);
  if (row.worker != worker || row.ended()) return std::nullopt;
  row.claim_key = "key of claim " + std::to_string(++row.token);
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

bool FakeStore::holds(int worker, const store::StepCommit& commit) const {
  const Row& row = rows_.at(commit.instance_id);
  return row.worker == worker && row.token == commit.token && row.claim_key == commit.claim_key;
}

bool FakeStore::commit_group(int worker, const std::vector<store::StepCommit>& commits,
                             const std::vector<std::string>& effects) {
  for (const store::StepCommit& commit : commits) {
    if (!holds(worker, commit)) return false;
  }
  for (std::size_t i = 0; i < commits.size(); ++i) {
    if (!commit_step(worker, commits[i], effects[i]))
      throw Violation("a step of a group ended the instance of another: " + commits[i].instance_id);
  }
  return true;
}

bool FakeStore::commit_step(int worker, const store::StepCommit& commit, const std::string& effect) {
  if (!holds(worker, commit)) return false;
  Row& row = rows_.at(commit.instance_id);
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
  if (const auto start = dsl::json_member(turn, "start")) put_back(row, std::string(*start));
  const std::string status = member(turn, "status");
  if (status.empty()) return;
  if (status == "waiting" || status == "paused") return put_down(row, turn, status);
  row.status = status;
  row.worker = 0;
  row.wake_at.reset();
  row.attention = false;
  row.completed_at = at;
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

void FakeStore::put_back(Row& row, const std::string& start) {
  if (!dsl::json_member(start, "body")) return;
  row.dsl = member(start, "body");
  row.status = row.request == "pause" ? "paused" : "pending";
  row.wake_at = std::max(dsl::parse_time(member(start, "start_at")).value(), now);
  row.worker = 0;
  row.attention = row.started = false;
}

std::string FakeStore::result(const std::string& id) const {
  const Row& row = rows_.at(id);
  if (row.result_seq == 0) return row.status + ' ' + row.error;
  const auto event = row.events.find(row.result_seq);
  if (event == row.events.end()) throw Violation("the result's event is gone: " + id);
  return row.status + ' ' + event->second.data;
}

}  // namespace durabled::sim
