#include "daemon/session_link.hpp"

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <optional>
#include <utility>

#include "daemon/role_login.hpp"

namespace durabled::daemon {
namespace {

namespace asio = boost::asio;

constexpr int kMaxConnectThreads = 64;

}  // namespace

class SessionConnector::Link : public StepLink {
  using Progress = store::StepSession::Progress;

 public:
  Link(SessionConnector& connector, std::unique_ptr<store::StepSession> session)
      : io_(connector.io_),
        cancel_threads_(connector.cancel_threads_),
        session_(std::move(session)),
        socket_(connector.io_, session_->socket()) {}
  ~Link() override { socket_.release(); }  // libpq closes it

  void attach(Owner& owner, std::uint64_t link) override {
    owner_ = &owner;
    id_ = link;
    watch();
  }
  void run(store::StepStatement statement) override {
    session_->run(std::move(statement));
    begin_exchange();
  }
  void commit(const store::StepCommit& commit) override {
    session_->commit(commit);
    begin_exchange();
  }
  void commit_and_run(const store::StepCommit& commit, store::StepStatement next) override {
    session_->commit_and_run(commit, std::move(next));
    begin_exchange();
  }
  void commit_foreign(const std::string& result) override {
    session_->commit_foreign(result);
    begin_exchange();
  }
  void rollback() override {
    session_->rollback();
    begin_exchange();
  }
  void run_group(std::vector<store::StepStatement> statements) override {
    session_->run_group(std::move(statements));
    begin_exchange();
  }
  void commit_group(const std::vector<store::StepCommit>& commits) override {
    session_->commit_group(commits);
    begin_exchange();
  }
  bool takes_groups() const override { return session_->takes_groups(); }
  store::GroupOutcome take_group_outcome() override { return session_->take_group_outcome(); }
  store::StepOutcome take_outcome() override { return session_->take_outcome(); }
  store::CommitOutcome take_commit_outcome() override { return session_->take_commit_outcome(); }
  store::StepStatement take_statement() override { return session_->take_statement(); }
  bool lost() const override { return session_->lost(); }

  void cancel() override {
    asio::post(cancel_threads_, [cancel = session_->canceller(),
                                 tell = later([](Link& link) { link.answer(Answer::kCancelled); })] {
      cancel();
      tell();
    });
  }

 private:
  // What calls `work` on the event loop, wherever it is called, if this link is still there then.
  std::function<void()> later(std::function<void(Link&)> work) {
    return [&io = io_, at = this, alive = std::weak_ptr<int>(alive_), work = std::move(work)] {
      asio::post(io, [at, alive, work] {
        if (!alive.expired()) work(*at);
      });
    };
  }

  // The owner hears of what has come already when it has begun the exchange.
  void begin_exchange() {
    in_exchange_ = true;
    untold_ = session_->advance();
    if (untold_ == Progress::kWaits) return tell();
    later([](Link& link) { link.tell(); })();
  }

  void ready() {
    if (untold_) return;
    if (in_exchange_) {
      untold_ = session_->advance();
      return tell();
    }
    if (session_->check_idle()) return watch();
    answer(Answer::kGone);
  }

  void tell() {
    switch (*std::exchange(untold_, std::nullopt)) {
      case Progress::kWaits:
        return watch();
      case Progress::kCommitted:
        later([](Link& link) { link.ready(); })();  // the next step may be over by now
        return answer(Answer::kCommitted);
      case Progress::kOver:
        in_exchange_ = false;
        watch();
        return answer(Answer::kOver);
    }
  }

  void watch() {
    wait(asio::posix::stream_descriptor::wait_read, &Link::is_reading_);
    if (session_->wants_write()) wait(asio::posix::stream_descriptor::wait_write, &Link::is_writing_);
  }

  void wait(asio::posix::stream_descriptor::wait_type type, bool Link::*flag) {
    if (session_->lost() || std::exchange(this->*flag, true)) return;
    socket_.async_wait(type, [this, flag, alive = std::weak_ptr<int>(alive_)](const auto& error) {
      if (alive.expired() || error == asio::error::operation_aborted) return;
      this->*flag = false;
      ready();
    });
  }

  // Last of all that a function does: it may destroy the link.
  void answer(Answer answer) { owner_->answered(id_, answer); }

  asio::io_context& io_;
  asio::thread_pool& cancel_threads_;
  std::unique_ptr<store::StepSession> session_;
  asio::posix::stream_descriptor socket_;
  Owner* owner_ = nullptr;
  std::uint64_t id_ = 0;
  std::optional<Progress> untold_;
  bool in_exchange_ = false, is_reading_ = false, is_writing_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

SessionConnector::SessionConnector(asio::io_context& io, SessionOptions options)
    : io_(io),
      options_(std::move(options)),
      connect_threads_(static_cast<std::size_t>(std::min(options_.connections, kMaxConnectThreads))),
      timer_(io) {}

SessionConnector::~SessionConnector() {
  shut_down();
}

void SessionConnector::reconfigure(config::Config::Identity identity) {
  options_.identity = std::move(identity);
}

void SessionConnector::shut_down() {
  is_closed_ = true;
  timer_.cancel();
  connect_threads_.join();
  cancel_threads_.join();
}

void SessionConnector::connect(const store::StepTarget& target, Opened opened, Refused refused) {
  const store::StepSession::Options session_options{
      !options_.prepared_statements, target.database != options_.served_database, options_.installation,
      options_.set_role ? 0 : target.role_id};
  asio::post(connect_threads_, [weak = weak_from_this(), &io = io_, options = options_, target,
                                session_options, opened = std::move(opened), refused = std::move(refused)] {
    auto box = std::make_shared<std::unique_ptr<store::StepSession>>();  // handlers must be copyable
    std::shared_ptr<store::StoreError> error;
    try {
      *box = store::StepSession::connect(
          store::step_params(options.conninfo, target, target.role, options.own_role,
                             role_login(options.identity, target.role), !options.prepared_statements,
                             options.lease_ttl),
          session_options);
    } catch (const store::StoreError& e) {
      error = std::make_shared<store::StoreError>(e);
    }
    asio::post(io, [weak, box, error, opened, refused] {
      const auto self = weak.lock();
      if (!self || self->is_closed_) return;
      if (error) return refused(*error);
      opened(std::make_unique<Link>(*self, std::move(*box)));
    });
  });
}

void SessionConnector::post(std::function<void()> work) {
  asio::post(io_, [weak = weak_from_this(), work = std::move(work)] {
    if (const auto self = weak.lock(); self && !self->is_closed_) work();
  });
}

void SessionConnector::wake_at(std::chrono::steady_clock::time_point time, std::function<void()> work) {
  timer_.expires_at(time);
  timer_.async_wait(
      [weak = weak_from_this(), work = std::move(work)](const boost::system::error_code& cancelled) {
        const auto self = weak.lock();
        if (self && !cancelled && !self->is_closed_) work();
      });
}

}  // namespace durabled::daemon
