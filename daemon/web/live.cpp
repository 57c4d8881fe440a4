#include "daemon/web/live.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include "daemon/cli/json_output.hpp"
#include "daemon/web/reply.hpp"

namespace durabled::daemon::web {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr milliseconds kShortest{500}, kLongest{5000};
constexpr seconds kOverviewAge{10}, kCountPause{5}, kListPause{2}, kInstancePause{1};
constexpr int kInstancesATurn = 6;  // that are read again; the others follow with the next turns
constexpr int kStatementsASecond = 40, kStatementsOfALook = 1, kStatementsOfALookAs = 9;
constexpr double kLookBack = 15;

std::string member(const std::string& json, const char* name) {
  const boost::json::value value = boost::json::parse(json);
  const auto& object = value.as_object();
  const auto found = object.find(name);
  return found == object.end() ? "" : boost::json::serialize(found->value());
}

// The row's status, out of the message that holds it.
std::string status_of(const std::string& moved) {
  const boost::json::value value = boost::json::parse(moved);
  return std::string(value.at("instance").at("status").as_string());
}

bool is_final(const std::string& status) {
  return status == "completed" || status == "failed" || status == "cancelled";
}

std::string list_of(const std::vector<std::string>& rows) {
  cli::JsonList list;
  for (const std::string& row : rows) list.add(row);
  return list.text();
}

std::string ids_of(const std::vector<std::string>& ids) {
  cli::JsonList list;
  for (const std::string& id : ids) list.add(cli::json_quote(id));
  return list.text();
}

void end_session(Subscription& subscription) {
  subscription.is_last = true;
  const Refused ended(401, "no_session", "the session has ended");
  subscription.send("fault", "{\"error\":" + ended.json() + '}');
}

}  // namespace

void Subscription::send(const std::string& event, const std::string& data, const std::string& id) {
  // JSON of PostgreSQL has no line breaks outside of white space; they would end the field.
  std::string line = data;
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::replace(line.begin(), line.end(), '\r', ' ');
  out.push_back((id.empty() ? "" : "id: " + id + '\n') + "event: " + event + "\ndata: " + line + "\n\n");
  wake->cancel();
}

std::shared_ptr<Subscription> Live::subscribe(std::shared_ptr<Session> session, Watched watched) {
  auto subscription = std::make_shared<Subscription>();
  subscription->watched = std::move(watched);
  subscription->session = session;
  subscription->wake = std::make_shared<asio::steady_timer>(io_);
  auto& watcher = watchers_[session->role];
  if (watcher) {
    watcher->subscriptions.push_back(subscription);
    hurry(session->role);
    return subscription;
  }
  watcher = std::make_shared<Watcher>();
  watcher->pause = std::make_shared<asio::steady_timer>(io_);
  watcher->subscriptions.push_back(subscription);
  asio::co_spawn(io_, watch(session->role, watcher), asio::detached);
  return subscription;
}

void Live::hurry(const std::string& role) {
  const auto found = watchers_.find(role);
  if (found == watchers_.end()) return;
  found->second->is_hurried = true;
  found->second->interval = kShortest;
  found->second->pause->cancel();
}

milliseconds Live::shortest_pause(const Subscriptions& all) const {
  const bool acts = !all.empty() && !all.front()->session->acts_as.empty();
  const auto looks = static_cast<int>(watchers_.size()) * (acts ? kStatementsOfALookAs : kStatementsOfALook);
  return std::max(kShortest, milliseconds(1000 * looks / kStatementsASecond));
}

asio::awaitable<void> Live::watch(std::string role, std::shared_ptr<Watcher> watcher) {
  while (true) {
    Subscriptions all;
    std::erase_if(watcher->subscriptions, [](const auto& weak) { return weak.expired(); });
    for (const auto& weak : watcher->subscriptions) {
      auto subscription = weak.lock();
      if (!subscription || subscription->is_last) continue;
      if (is_over(*subscription->session, Clock::now()))
        end_session(*subscription);
      else
        all.push_back(subscription);
    }
    if (all.empty()) break;
    watcher->is_hurried = false;
    std::optional<Refused> trouble;
    bool has_moved = false;
    try {
      has_moved = co_await look(all);
    } catch (const store::WebError& error) {
      trouble = refusal(error);
    } catch (const Refused& error) {
      trouble = error;
    }
    // 401: the session that was asked has lost its connection; those of the others go on.
    for (const auto& one : all) {
      if (trouble && trouble->status() != 401) one->send("fault", "{\"error\":" + trouble->json() + '}');
    }
    watcher->interval = has_moved ? kShortest : std::min(kLongest, watcher->interval * 3 / 2);
    const milliseconds pause = std::max(trouble ? kLongest : watcher->interval, shortest_pause(all));
    all.clear();
    if (watcher->is_hurried && !trouble) continue;
    watcher->pause->expires_after(pause);
    boost::system::error_code ignored;
    co_await watcher->pause->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  watchers_.erase(role);
}

asio::awaitable<bool> Live::look(const Subscriptions& all) {
  std::set<std::string> ids;
  bool looks_for_new = false;
  for (const auto& one : all) {
    if (one->watched.instance) ids.insert(*one->watched.instance);
    ids.insert(one->watched.ids.begin(), one->watched.ids.end());
    looks_for_new = looks_for_new || one->watched.newest;
  }
  bool has_moved = false, has_new = false;
  if (!ids.empty() || looks_for_new) {
    store::WebProbe probe;
    const std::vector<std::string> list(ids.begin(), ids.end());
    const auto session = all.front()->session;
    const Database::Work work = [&](store::WebStore& store) {
      probe = store.probe(list, looks_for_new, kLookBack);
    };
    co_await run(*session, work);
    std::map<std::string, std::string> marks;
    for (const store::WebMark& mark : probe.marks) marks[mark.id] = mark.mark;
    has_new = probe.has_new;
    co_await send_instances(all, marks, has_moved);
    co_await send_lists(all, marks, has_moved);
    if (looks_for_new) co_await send_counts(all, has_new);
  }
  co_await send_overviews(all);
  co_return has_moved;
}

asio::awaitable<void> Live::send_instances(const Subscriptions& all,
                                           const std::map<std::string, std::string>& marks, bool& has_moved) {
  int most = kInstancesATurn;
  std::map<std::pair<std::string, std::int64_t>, std::optional<std::string>> read;
  const auto now = Clock::now();
  for (const auto& one : all) {
    if (!one->watched.instance || one->is_last) continue;
    const std::string id = *one->watched.instance;
    const auto mark = marks.find(id);
    const std::string current = mark == marks.end() ? "gone" : mark->second;
    if (one->marks["=" + id] == current) continue;
    has_moved = true;
    if (now - one->instance_at < kInstancePause) continue;
    const auto key = std::make_pair(id, one->watched.after);
    if (!read.contains(key)) {
      // A page that has just been opened does not wait for others.
      const bool is_first = one->instance_at == Clock::time_point();
      if (!is_first && most-- <= 0) continue;
      const Database::Work work = [&](store::WebStore& store) {
        read[key] = store.moved(id, one->watched.after);
      };
      co_await run(*one->session, work);
    }
    one->marks["=" + id] = current;
    one->instance_at = now;
    const std::optional<std::string>& message = read[key];
    if (!message) {
      one->send("fault", "{\"error\":" + not_found().json() + '}');
      one->is_last = !one->watched.has_more_than_instance();
      continue;
    }
    const std::string last = member(*message, "last_seq");
    one->watched.after = std::stoll(last);
    one->send("instance", *message, last);
    const std::string status = status_of(*message);
    if (!is_final(status)) continue;
    if (one->watched.has_more_than_instance()) {
      one->watched.instance.reset();
    } else {
      one->is_last = true;
      one->send("end", "{\"status\":\"" + status + "\"}");
    }
  }
}

asio::awaitable<void> Live::send_lists(const Subscriptions& all,
                                       const std::map<std::string, std::string>& marks, bool& has_moved) {
  const auto now = Clock::now();
  std::set<std::string> wanted;
  std::map<Subscription*, std::vector<std::string>> changed, gone;
  for (const auto& one : all) {
    if (one->is_last) continue;
    for (const std::string& id : one->watched.ids) {
      const auto mark = marks.find(id);
      const std::string current = mark == marks.end() ? "gone" : mark->second;
      if (one->marks[id] == current) continue;
      has_moved = true;
      if (now - one->list_at < kListPause) continue;
      one->marks[id] = current;
      (mark == marks.end() ? gone : changed)[one.get()].push_back(id);
      if (mark != marks.end()) wanted.insert(id);
    }
  }
  std::map<std::string, std::string> rows;
  if (!wanted.empty()) {
    const std::vector<std::string> list(wanted.begin(), wanted.end());
    const auto session = all.front()->session;
    const Database::Work work = [&](store::WebStore& store) { rows = store.rows(list); };
    co_await run(*session, work);
  }
  for (const auto& one : all) {
    if (!changed.contains(one.get()) && !gone.contains(one.get())) continue;
    std::vector<std::string> texts;
    for (const std::string& id : changed[one.get()]) {
      if (const auto row = rows.find(id); row != rows.end()) texts.push_back(row->second);
    }
    one->list_at = now;
    one->send("list", "{\"rows\":" + list_of(texts) + ",\"gone\":" + ids_of(gone[one.get()]) +
                          (one->counted.empty() ? ",\"new\":0,\"new_capped\":false" : ',' + one->counted) +
                          '}');
  }
}

asio::awaitable<void> Live::send_counts(const Subscriptions& all, bool has_new) {
  const auto now = Clock::now();
  for (const auto& one : all) {
    // The first count, and then whenever there was something new.
    if (one->is_last || !one->watched.newest || now - one->count_at < kCountPause) continue;
    if (!has_new && one->count_at != Clock::time_point()) continue;
    std::string count;
    const Database::Work work = [&](store::WebStore& store) {
      count = store.newer(one->watched.filter, *one->watched.newest);
    };
    co_await run(*one->session, work);
    one->count_at = now;
    if (count == one->counted) continue;
    one->counted = count;
    one->send("list", "{\"rows\":[],\"gone\":[]," + count + '}');
  }
}

asio::awaitable<void> Live::send_overviews(const Subscriptions& all) {
  const auto now = Clock::now();
  for (const auto& one : all) {
    if (one->is_last || !one->watched.overview || now - one->overview_at < kOverviewAge) continue;
    one->overview_at = now;
    const std::string text = co_await overview(one->session);
    one->send("overview", text);
  }
}

asio::awaitable<std::string> Live::overview(std::shared_ptr<Session> session) {
  const auto now = Clock::now();
  std::erase_if(overviews_, [&](const auto& entry) { return now - entry.second.at > kOverviewAge; });
  if (const auto found = overviews_.find(session->role); found != overviews_.end())
    co_return found->second.text;
  std::string text;
  const Database::Work work = [&](store::WebStore& store) { text = store.overview(); };
  co_await run(*session, work);
  overviews_[session->role] = {text, Clock::now()};
  co_return text;
}

asio::awaitable<std::string> Live::changes(std::shared_ptr<Session> session, const Watched& watched) {
  std::optional<std::string> instance;
  std::string list = "null", all = "null";
  const Database::Work work = [&](store::WebStore& store) {
    if (watched.instance) {
      instance = store.moved(*watched.instance, watched.after);
      if (!instance) throw not_found();
    }
    if (watched.ids.empty() && !watched.newest) return;
    std::vector<std::string> rows, gone;
    const auto found = watched.ids.empty() ? std::map<std::string, std::string>() : store.rows(watched.ids);
    for (const std::string& id : watched.ids) {
      if (const auto row = found.find(id); row != found.end())
        rows.push_back(row->second);
      else
        gone.push_back(id);
    }
    const std::string count =
        watched.newest ? store.newer(watched.filter, *watched.newest) : "\"new\":0,\"new_capped\":false";
    list = "{\"rows\":" + list_of(rows) + ",\"gone\":" + ids_of(gone) + ',' + count + '}';
  };
  co_await run(*session, work);
  if (watched.overview) all = co_await overview(session);
  const bool ends = instance && !watched.has_more_than_instance() && is_final(status_of(*instance));
  co_return "{\"instance\":" + instance.value_or("null") + ",\"list\":" + list + ",\"overview\":" + all +
      ",\"end\":" + (ends ? "true" : "false") + ",\"poll_ms\":2000}";
}

}  // namespace durabled::daemon::web
