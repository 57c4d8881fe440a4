// What streams show: one look at the database for all tabs of a role, and only what has changed goes out.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/web/sessions.hpp"

namespace durabled::daemon::web {

struct Watched {
  std::optional<std::string> instance;
  std::int64_t after = 0;
  std::vector<std::string> ids;
  std::optional<std::string> newest;
  store::WebFilter filter;
  bool overview = false;
  bool has_more_than_instance() const { return !ids.empty() || newest || overview; }
};

// One stream. The watcher fills `out`, the connection empties it.
struct Subscription {
  Watched watched;
  std::shared_ptr<Session> session;
  std::deque<std::string> out;  // server-sent events, ready to be written
  bool is_last = false;         // nothing comes after what is in `out`
  std::shared_ptr<boost::asio::steady_timer> wake;

  std::map<std::string, std::string> marks;  // what was sent last of each instance
  std::string counted;                       // the same of what is new
  Clock::time_point instance_at, list_at, count_at, overview_at;

  void send(const std::string& event, const std::string& data, const std::string& id = "");
};

// Belongs to the I/O thread.
class Live {
 public:
  // A watcher looks no more often than every 0.5 s; all together take about 40 statements a second at most while nothing
  // moves.
  Live(boost::asio::io_context& io) : io_(io) {}

  std::shared_ptr<Subscription> subscribe(std::shared_ptr<Session> session, Watched watched);
  // Somebody has acted: its role's watcher looks again at once.
  void hurry(const std::string& role);
  // Everything of `watched` at once, for those who poll: {"instance", "list", "overview", "end", "poll_ms"}.
  boost::asio::awaitable<std::string> changes(std::shared_ptr<Session> session, const Watched& watched);
  // At most 10 s old.
  boost::asio::awaitable<std::string> overview(std::shared_ptr<Session> session);

 private:
  struct Watcher {
    std::vector<std::weak_ptr<Subscription>> subscriptions;
    std::shared_ptr<boost::asio::steady_timer> pause;
    std::chrono::milliseconds interval{500};
    bool is_hurried = false;
  };
  struct Overview {
    std::string text;
    Clock::time_point at;
  };
  using Subscriptions = std::vector<std::shared_ptr<Subscription>>;

  boost::asio::awaitable<void> watch(std::string role, std::shared_ptr<Watcher> watcher);
  boost::asio::awaitable<bool> look(const Subscriptions& all);
  boost::asio::awaitable<void> send_instances(const Subscriptions& all,
                                              const std::map<std::string, std::string>& marks,
                                              bool& has_moved);
  boost::asio::awaitable<void> send_lists(const Subscriptions& all,
                                          const std::map<std::string, std::string>& marks, bool& has_moved);
  boost::asio::awaitable<void> send_counts(const Subscriptions& all, bool has_new);
  boost::asio::awaitable<void> send_overviews(const Subscriptions& all);
  std::chrono::milliseconds shortest_pause(const Subscriptions& all) const;

  boost::asio::io_context& io_;
  std::map<std::string, std::shared_ptr<Watcher>> watchers_;
  std::map<std::string, Overview> overviews_;
};

}  // namespace durabled::daemon::web
