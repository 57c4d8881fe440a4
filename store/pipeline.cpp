#include "store/pipeline.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace durabled::store {

PGconn* Pipeline::connect(const ConnectParams& params) {
  std::vector<const char*> keywords, values;
  for (const auto& [keyword, value] : params) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  return PQconnectdbParams(keywords.data(), values.data(), 1);
}

bool Pipeline::start() {
  PQsetnonblocking(conn_, 1);
  // Errors are read field by field; without their text libpq makes fewer copies of what a step raises.
  PQsetErrorVerbosity(conn_, PQERRORS_SQLSTATE);
  PQsetNoticeProcessor(
      conn_, [](void*, const char*) {}, nullptr);
  return PQenterPipelineMode(conn_) != 0;
}

void Pipeline::sent(Sent kind, bool accepted) {
  lost_ |= !accepted;
  // A statement's rows come one by one; this is said when its answer is the next.
  if (sent_.empty() && kind == Sent::kStatement) PQsetSingleRowMode(conn_);
  sent_.push_back(kind);
}

void Pipeline::pop() {
  sent_.pop_front();
  if (!sent_.empty() && sent_.front() == Sent::kStatement) PQsetSingleRowMode(conn_);
}

void Pipeline::send(const char* sql, Sent kind, const std::vector<const char*>& params) {
  sent(kind, PQsendQueryParams(conn_, sql, static_cast<int>(params.size()), nullptr, params.data(), nullptr,
                               nullptr, 0) != 0);
}

void Pipeline::sync() {
  sent(Sent::kSync, PQpipelineSync(conn_) != 0);
  unsent_ = true;
}

void Pipeline::request_flush() {
  lost_ |= PQsendFlushRequest(conn_) == 0;
}

void Pipeline::flush() {
  const int left = lost_ ? 0 : PQflush(conn_);
  lost_ |= left < 0;
  unsent_ = left > 0;
}

void Pipeline::pump() {
  flush();
  if (!lost_ && PQconsumeInput(conn_) == 0) lost_ = true;
  // A step may LISTEN and commit; its notifications are discarded.
  while (PGnotify* notification = PQnotifies(conn_)) PQfreemem(notification);
}

bool Pipeline::receive(const Handler& handle) {
  if (PQisBusy(conn_)) return false;
  const Sent kind = sent_.front();
  PGresultPtr result(PQgetResult(conn_));
  // A sync is its own end.
  const bool end = result == nullptr || PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC;
  if (end) pop();
  handle(std::move(result), kind);
  return true;
}

std::string Pipeline::error() const {
  std::string message = PQerrorMessage(conn_);
  while (!message.empty() && message.back() == '\n') message.pop_back();
  return message;
}

std::function<void()> Pipeline::canceller() const {
  const std::shared_ptr<PGcancel> cancel(PQgetCancel(conn_), [](PGcancel* handle) { PQfreeCancel(handle); });
  return [cancel] {
    char error[256];
    if (cancel) PQcancel(cancel.get(), error, sizeof error);
  };
}

}  // namespace durabled::store
