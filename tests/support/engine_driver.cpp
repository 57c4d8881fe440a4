#include "tests/support/engine_driver.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "dsl/text/parser.hpp"
#include "dsl/value/json_slice.hpp"
#include "dsl/value/json_writer.hpp"

namespace durabled::test {
namespace {

constexpr int kSaneDecisions = 100'000;  // that follow from one event

std::shared_ptr<const dsl::Graph> parse(std::string_view workflow) {
  auto parsed = dsl::read_workflow(workflow, dsl::GraphLimits{});
  if (!parsed) throw std::invalid_argument(parsed.error().to_string());
  return std::make_shared<const dsl::Graph>(std::move(parsed->graph));
}

std::string line_of(const dsl::Decision& decision) {
  if (const auto* run = std::get_if<dsl::RunSql>(&decision)) {
    return "run " + address_text(run->address) +
           (run->attempt > 1 ? " #" + std::to_string(run->attempt) : "") + ' ' + run->statement;
  }
  if (const auto* call = std::get_if<dsl::CallHttp>(&decision)) {
    return "http " + address_text(call->address) +
           (call->attempt > 1 ? " #" + std::to_string(call->attempt) : "");
  }
  if (const auto* stop = std::get_if<dsl::StopStep>(&decision)) return "stop " + address_text(stop->address);
  const auto& made = std::get<dsl::Record>(decision);
  std::string line(dsl::to_string(made.event.kind));
  if (made.event.address.node != dsl::kNoNode) line += ' ' + address_text(made.event.address);
  if (!made.event.data.empty()) line += ' ' + made.event.data;
  if (!made.prune.empty()) line += " prune";
  for (const std::int64_t seq : made.prune) line += ' ' + std::to_string(seq);
  return line;
}

std::string row_set(const std::vector<std::string>& json_values, const std::string& type) {
  std::string json = "{\"rows\":[";
  for (std::size_t i = 0; i < json_values.size(); ++i) {
    if (i > 0) json += ',';
    json += "{\"v\":" + json_values[i] + '}';
  }
  const std::string count = std::to_string(json_values.size());
  return json + "],\"row_count\":" + count + ",\"columns\":[{\"name\":\"v\",\"type\":\"" + type +
         "\"}],\"affected\":" + count + '}';
}

}  // namespace

std::string one(const std::string& json_value, const std::string& type) {
  return row_set({json_value}, type);
}
std::string rows(const std::vector<std::string>& json_values) {
  return row_set(json_values, "text");
}
std::string no_rows() {
  return row_set({}, "text");
}

std::string address_text(const dsl::Address& address) {
  return dsl::node_id(address.node) + (address.scope.empty() ? "" : '@' + address.scope);
}

EngineDriver::EngineDriver(std::string_view workflow, dsl::Policy policy, dsl::Variables variables,
                           std::optional<std::string> input)
    : EngineDriver(parse(workflow), policy, std::move(variables), std::move(input)) {}

EngineDriver::EngineDriver(std::shared_ptr<const dsl::Graph> graph, dsl::Policy policy,
                           dsl::Variables variables, std::optional<std::string> input)
    : graph_(std::move(graph)), policy_(policy), variables_(std::move(variables)), input_(std::move(input)) {
  run_ = std::make_unique<dsl::Execution>(graph_, variables_, policy_, input_);
}

void EngineDriver::start() {
  feed(dsl::EventKind::kInstanceStarted, {}, "{}");
}

void EngineDriver::feed(dsl::EventKind kind, const dsl::Address& address, const std::string& data,
                        int attempt) {
  dsl::Event event{next_seq_++, now_, kind, address, attempt, data};
  if (kind == dsl::EventKind::kStepCompleted || kind == dsl::EventKind::kStepFailed) forget(event.address);
  if (apply(std::move(event))) settle();
}

bool EngineDriver::apply(dsl::Event event) {
  if (mismatch_) return false;
  if (const auto wrong = run_->apply(event)) {
    mismatch_ = true;
    end_ = "mismatch: " + wrong->what;
    return false;
  }
  history_.push_back(std::move(event));
  longest_history_ = std::max(longest_history_, history_.size());
  return true;
}

void EngineDriver::settle() {
  for (int taken = 0;;) {
    Checkpoint checkpoint;
    if (keeps_checkpoints_) checkpoint = {history_, now_, {}};
    const std::vector<dsl::Decision> decisions = run_->decide(now_);
    if (decisions.empty()) return;
    for (const dsl::Decision& decision : decisions) {
      log_ += line_of(decision) + '\n';
      if (const auto* stop = std::get_if<dsl::StopStep>(&decision)) forget(stop->address);
    }
    if (keeps_checkpoints_) {
      for (const Step& step : running_) checkpoint.expected.push_back(step.line);
      for (const dsl::Decision& decision : decisions) {
        if (!std::holds_alternative<dsl::StopStep>(decision))
          checkpoint.expected.push_back(line_of(decision));
      }
      checkpoints_.push_back(std::move(checkpoint));
    }
    for (const dsl::Decision& decision : decisions) take(decision);
    taken += static_cast<int>(decisions.size());
    if (mismatch_) return;
    if (taken > kSaneDecisions) {
      ran_away_ = true;
      return;
    }
  }
}

void EngineDriver::take(const dsl::Decision& decision) {
  if (const auto* run = std::get_if<dsl::RunSql>(&decision)) {
    const std::string statement = run->is_template ? "(template)" : run->statement;
    running_.push_back({run->address, run->attempt, statement, line_of(decision)});
  } else if (const auto* call = std::get_if<dsl::CallHttp>(&decision)) {
    running_.push_back({call->address, call->attempt, "", line_of(decision)});
  } else if (const auto* made = std::get_if<dsl::Record>(&decision)) {
    dsl::Event event = made->event;
    event.seq = next_seq_++;
    event.at = now_;
    const std::string data = event.data;
    if (!apply(event)) return;
    prune(made->prune);
    const auto error = dsl::json_member(data, "error");
    if (event.kind == dsl::EventKind::kInstanceFailed) {
      end_ = "failed " + dsl::json_text(dsl::json_member(*error, "code").value_or("\"\"")) + ' ' +
             dsl::json_text(dsl::json_member(*error, "message").value_or("\"\""));
    } else if (event.kind == dsl::EventKind::kInstanceCompleted) {
      end_ = "completed ";
      if (const auto result = dsl::json_member(data, "result")) end_ += *result;
      if (const auto seq = dsl::json_member(data, "result_seq")) {
        for (const dsl::Event& one : history_) {
          if (std::to_string(one.seq) == *seq) end_ += one.data;
        }
      }
    }
  }
}

void EngineDriver::prune(const std::vector<std::int64_t>& seqs) {
  if (seqs.empty()) return;
  const std::set<std::int64_t> gone(seqs.begin(), seqs.end());
  std::erase_if(history_, [&](const dsl::Event& event) { return gone.count(event.seq) > 0; });
}

void EngineDriver::forget(const dsl::Address& address) {
  const auto found = std::find_if(running_.begin(), running_.end(),
                                  [&](const Step& step) { return step.address == address; });
  if (found != running_.end()) running_.erase(found);
}

void EngineDriver::complete(const dsl::Address& address, const std::string& result) {
  feed(dsl::EventKind::kStepCompleted, address, result, 1);
}

void EngineDriver::fail(const dsl::Address& address, const std::string& code, bool transient) {
  int attempt = 1;
  for (const Step& step : running_) {
    if (step.address == address) attempt = step.attempt;
  }
  dsl::Failure failure = dsl::make_failure(code, "it failed", address.node, attempt);
  failure.transient = transient;
  failure.final = false;
  std::string data = "{\"error\":" + failure.json();
  if (const auto retry = run_->retry_at(address, failure, now_, 0.5))
    data += ",\"retry_at\":\"" + dsl::format_time(*retry) + '"';
  feed(dsl::EventKind::kStepFailed, address, data + '}', attempt);
}

void EngineDriver::fire() {
  const auto timer = run_->next_timer();
  if (!timer) throw std::logic_error("there is no timer");
  now_ = std::max(now_, timer->fire_at);
  feed(dsl::EventKind::kTimerFired, timer->address, "");
}

bool EngineDriver::signal(const std::string& name, const std::string& data) {
  const auto waiter = run_->waiter(name);
  if (!waiter) return false;
  std::string json = "{\"signal_name\":";
  dsl::append_json_string(json, name);
  feed(dsl::EventKind::kSignalReceived, *waiter, json + ",\"timed_out\":false,\"data\":" + data + '}');
  return true;
}

void EngineDriver::cancel() {
  feed(dsl::EventKind::kInstanceCancelled, {},
       "{\"error\":{\"message\":\"cancelled\",\"code\":\"cancelled\"}}");
  if (!mismatch_) end_ = "cancelled";
}

EngineDriver& EngineDriver::on(const std::string& statement, const std::string& result) {
  answers_[statement] = {result, "", false, 0};
  return *this;
}

EngineDriver& EngineDriver::on_failure(const std::string& statement, const std::string& code, bool transient,
                                       int times) {
  Answer& answer = answers_[statement];
  answer.code = code;
  answer.transient = transient;
  answer.times = times;
  return *this;
}

EngineDriver& EngineDriver::finish(int limit) {
  if (history_.empty()) start();
  for (int i = 0; i < limit && !is_over() && !ran_away_; ++i) {
    if (running_.empty()) {
      if (!run_->next_timer()) break;
      fire();
      continue;
    }
    const Step step = running_.front();
    Answer& answer = answers_[step.statement];
    if (answer.times > 0) {
      --answer.times;
      fail(step.address, answer.code, answer.transient);
      continue;
    }
    std::string text;
    dsl::append_json_string(text, step.statement);
    complete(step.address, answer.result.empty() ? one(text) : answer.result);
  }
  return *this;
}

std::string EngineDriver::take_log() {
  return std::exchange(log_, "");
}

const EngineDriver::Step& EngineDriver::running(std::string_view statement) const {
  for (const Step& step : running_) {
    if (step.statement == statement) return step;
  }
  throw std::logic_error("this does not run: " + std::string(statement));
}

std::string EngineDriver::status() const {
  return end_.empty() ? "going on" : end_;
}

std::vector<std::string> EngineDriver::replay(const Checkpoint& checkpoint) const {
  dsl::Execution run(graph_, variables_, policy_, input_);
  dsl::Replay replay = dsl::replayable(*graph_, checkpoint.history);
  run.add_superfluous(std::move(replay.superfluous));
  for (const dsl::Event* event : replay.events) {
    if (const auto wrong = run.apply(*event)) return {"mismatch: " + wrong->what};
  }
  std::vector<std::string> lines;
  for (const dsl::Decision& decision : run.decide(checkpoint.now)) lines.push_back(line_of(decision));
  return lines;
}

}  // namespace durabled::test
