#include "daemon/web/page.hpp"

#include <boost/asio/use_awaitable.hpp>

#include "daemon/cli/json_output.hpp"
#include "daemon/log.hpp"

namespace durabled::daemon::web {

namespace asio = boost::asio;

namespace {

constexpr int kSharedConnections = 8;
constexpr std::size_t kMostUsers = 1000;
constexpr std::chrono::seconds kFactsAge{60};

const char* name_of(Mode mode) {
  switch (mode) {
    case Mode::kPersonal:
      return "personal";
    case Mode::kLogin:
      return "login";
    case Mode::kProxy:
      return "proxy";
  }
  return "";
}

}  // namespace

void check_facts(const store::WebFacts& facts, Mode mode) {
  if (facts.schema != facts.known_schema) {
    throw Refused(
        503, "database",
        "the schema df has version " + std::to_string(facts.schema) + ", and this durabled needs " +
            std::to_string(facts.known_schema) +
            (facts.schema < facts.known_schema ? "; run: durabled upgrade" : "; install a newer durabled"));
  }
  if (!facts.is_bound && mode != Mode::kPersonal) {
    throw Refused(401, "login_failed",
                  "row-level security does not bind this role, so it may not come in here", "",
                  "Use a role that does not own the schema and is no superuser.");
  }
}

Page::Page(asio::io_context& io, asio::thread_pool& threads, Options options)
    : io_(io), threads_(threads), options_(std::move(options)), live_(io) {
  shared_ = std::make_shared<Database>(io_, threads_, kSharedConnections, [conninfo = options_.conninfo] {
    return std::make_unique<store::WebStore>(conninfo);
  });
}

std::string Page::new_token() {
  token_ = random_key();
  return token_;
}

std::string Page::cookie_name() const {
  return "durabled_" + std::to_string(port_);
}

std::string Page::cookie(const std::string& value, const std::string& more) const {
  // A proxy in front means TLS in front.
  const std::string secure = options_.trusted.empty() ? "" : "; Secure";
  return cookie_name() + '=' + value + "; Path=" + options_.base_path + "; HttpOnly; SameSite=Strict" +
         secure + more;
}

Reply Page::with_cookie(const std::shared_ptr<Session>& session) {
  Reply reply = json_reply(
      cli::JsonObject().text("mode", std::string(name_of(options_.mode))).text("role", session->role).text());
  reply.headers.emplace_back("Set-Cookie", cookie(sessions_.add(session), ""));
  return reply;
}

asio::awaitable<std::shared_ptr<Session>> Page::session_of(std::string cookie,
                                                           std::optional<std::string> user) {
  const auto now = Clock::now();
  if (options_.mode != Mode::kProxy) {
    auto session = cookie.empty() ? nullptr : sessions_.find(cookie, now);
    if (session) session->used = now;
    co_return session;
  }
  // PostgreSQL reads the role "none" as no role at all.
  if (!user || user->empty() || *user == "none" || user->size() > 63) co_return nullptr;
  std::shared_ptr<Session> session;
  if (const auto known = by_user_.find(*user); known != by_user_.end() && !is_over(*known->second, now))
    session = known->second;
  if (session && now - session->checked < kFactsAge) {
    session->used = now;
    co_return session;
  }
  std::erase_if(by_user_, [&](const auto& entry) { return is_over(*entry.second, now); });
  if (by_user_.size() > kMostUsers) throw Refused(429, "slow_down", "too many people use this page");
  store::WebFacts facts;
  const Database::Work work = [&](store::WebStore& store) { facts = store.facts(); };
  co_await shared_->run(*user, false, work);
  check_facts(facts, options_.mode);
  if (facts.role != *user) co_return nullptr;
  if (!session) {
    session = std::make_shared<Session>();
    session->role = session->acts_as = *user;
    session->database = shared_;
    session->created = Clock::now();
  }
  session->facts = facts;
  session->used = session->checked = Clock::now();
  by_user_[*user] = session;
  co_return session;
}

asio::awaitable<Reply> Page::begin_session(const Call& call) {
  const Parameters& given = call.parameters;
  if (options_.mode == Mode::kProxy)
    throw Refused(400, "bad_request", "the proxy in front of this page says who signs in");
  if (sessions_.is_full(Clock::now())) throw Refused(429, "slow_down", "there are 100 sessions already");
  if (options_.mode == Mode::kLogin) {
    const std::string user = given.required("user"), password = given.required("password");
    Reply reply = co_await log_in(call, user, password);
    co_return reply;
  }
  // Wrong tokens cost nothing: nobody guesses 256 bits, and a delay would let any process of this machine keep its
  // owner out.
  if (token_.empty() || !same_key(token_, given.required("token"))) {
    throw Refused(401, "login_failed", "this link has been used, or is not the latest one", "",
                  "Press Enter where durabled ui runs; it prints a new link.");
  }
  token_.clear();
  auto session = std::make_shared<Session>();
  session->database = shared_;
  const std::string nobody;
  const Database::Work work = [&](store::WebStore& store) { session->facts = store.facts(); };
  co_await shared_->run(nobody, false, work);
  check_facts(session->facts, options_.mode);
  session->role = session->facts.role;
  session->created = session->used = Clock::now();
  if (on_session) on_session();
  co_return with_cookie(session);
}

asio::awaitable<Reply> Page::log_in(const Call& call, const std::string& user, const std::string& password) {
  const int wait = delays_.wait_for(user, call.address, Clock::now());
  if (wait > 0) {
    throw Refused(429, "slow_down", "too many failed logins; wait " + std::to_string(wait) + " s");
  }
  // Counted before the answer, so that guesses made side by side do not all reach the database.
  delays_.failed(user, call.address, Clock::now());
  std::unique_ptr<store::WebStore> store;
  auto session = std::make_shared<Session>();
  std::optional<Refused> refused;
  try {
    const std::function<void()> work = [&] {
      store = std::make_unique<store::WebStore>(options_.conninfo, user, password);
      session->facts = store->facts();
    };
    co_await run_on(threads_, io_, work);
    check_facts(session->facts, options_.mode);
  } catch (const store::WebError& error) {
    refused = refusal(error);
  } catch (const Refused& error) {
    refused = error;
  }
  if (refused) {
    if (refused->status() != 401) {
      delays_.take_back(user, call.address);
    } else {
      log_warn("ui: a login as " + user + " from " + call.address + " failed: " + refused->what());
    }
    throw *refused;
  }
  delays_.take_back(user, call.address);
  delays_.succeeded(user, call.address);
  session->role = session->facts.role;
  if (sessions_.is_full(session->role, Clock::now()))
    throw Refused(429, "slow_down", "role " + session->role + " has 10 sessions already", "",
                  "Sign out of one, or wait until one has been idle for 30 minutes.");
  session->database = std::make_shared<Database>(io_, threads_, std::move(store));
  session->created = session->used = Clock::now();
  log_info("ui: " + session->role + " has logged in from " + call.address);
  co_return with_cookie(session);
}

asio::awaitable<Reply> Page::me(const Call& call) {
  store::WebFacts& facts = call.session->facts;
  std::string settings;
  const Database::Work work = [&](store::WebStore& store) {
    facts = store.facts();
    settings = store.settings();
  };
  co_await run(*call.session, work);
  check_facts(facts, options_.mode);
  std::optional<std::string> banner;
  if (!facts.is_bound)
    banner =
        "Row-level security does not bind the role " + facts.role + ": it sees and may change everything.";
  const std::string body = cli::JsonObject()
                               .text("mode", std::string(name_of(options_.mode)))
                               .text("role", facts.role)
                               .boolean("operator", facts.is_operator)
                               .boolean("read_only", options_.read_only)
                               .text("banner", banner)
                               .text("version", std::string(DURABLED_VERSION))
                               .text("schema", std::to_string(facts.schema))
                               .text("server_version", facts.server_version)
                               .text("database", facts.database)
                               .text();
  // Both are objects: one becomes the rest of the other.
  co_return json_reply(body.substr(0, body.size() - 1) + ',' + settings.substr(settings.find('{') + 1));
}

// Nothing but names stands beside a co_await here: GCC 12 destroys temporaries of such an expression twice.
asio::awaitable<Reply> Page::answer(Call call) {
  call.parameters.require_known(call.route->parameters);
  if (const auto id = call.parts.find("id"); id != call.parts.end() && !is_instance_id(id->second))
    throw not_found();
  Reply reply;
  switch (call.route->endpoint) {
    case Endpoint::kSession:
      reply = co_await begin_session(call);
      break;
    case Endpoint::kSessionEnd:
      sessions_.end(call.cookie);
      reply.body = "{}";
      reply.headers.emplace_back("Set-Cookie", cookie("", "; Max-Age=0"));
      break;
    case Endpoint::kMe:
      reply = co_await me(call);
      break;
    case Endpoint::kOverview:
      reply.body = co_await live_.overview(call.session);
      break;
    case Endpoint::kChanges: {
      const Watched wanted = watched(call.parameters);
      reply.body = co_await live_.changes(call.session, wanted);
      break;
    }
    case Endpoint::kPayload:
      reply = co_await payload(call);
      break;
    case Endpoint::kAction:
      reply = co_await act(call);
      break;
    case Endpoint::kBulk:
      reply = co_await bulk(call);
      break;
    default:
      reply = co_await read(call);
      break;
  }
  co_return reply;
}

}  // namespace durabled::daemon::web
