// Each message between the daemon and PostgreSQL is lost once. DURABLED_SWEEP=all (./dev sweep) loses every one of them,
// otherwise some are passed over.
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <thread>

#include "tests/crash/sweep.hpp"

using namespace durabled::test;

namespace {

using Direction = Proxy::Direction;
constexpr const char* kOwner = "durabled_owner";
constexpr const char* kSteps = "durabled step";

bool is_full_sweep() {
  const char* wanted = std::getenv("DURABLED_SWEEP");
  return wanted != nullptr && std::string(wanted) == "all";
}

// A daemon behind a proxy, two databases, and roles that do not share connections.
class SweptWorld : public HttpWorld {
 public:
  explicit SweptWorld(const std::vector<std::string>& roles, Settings settings = {})
      : elsewhere_(server().fresh_database()), proxy(server().port()) {
    const std::string objects =
        "create table public.effects (instance text, step int);"
        "create index on public.effects (instance);"
        "create procedure public.note(text, int) language plpgsql as $$ begin"
        " insert into public.effects values ($1, $2); commit; end $$;"
        "grant select, insert on public.effects to public;";
    Sql there(elsewhere_.conninfo());
    owner().exec(objects);
    there.exec(objects);
    for (const std::string& role : roles) {
      add_role(role);
      there.exec("select df.grant_usage('" + role + "')");
    }
    http.route("/swept/", TestAnswer{.body = "ok"});
    settings.merge(allowed());
    settings.insert({{"retry.delay", "5ms"},
                     {"retry.max_delay", "20ms"},
                     {"retry.max_attempts", "50"},
                     {"worker.poll_interval", "100ms"}});
    const std::string address = "host=127.0.0.1 port=" + std::to_string(proxy.port()) +
                                " dbname=" + database().name() + " user=" + kOwner +
                                " sslmode=disable gssencmode=disable";
    daemon_ = std::make_unique<DaemonProcess>(
        DaemonProcess::Options{.database = address, .settings = std::move(settings)});
    daemon_->wait_until_ready();
  }

  SweptRole role(const std::string& name) const { return {*this, elsewhere_, http, name}; }
  std::vector<SweptKind> kinds() const { return swept_kinds(http.url("")); }
  DaemonProcess& daemon() { return *daemon_; }

 private:
  TestDatabase elsewhere_;

 public:
  Proxy proxy;

 private:
  std::unique_ptr<DaemonProcess> daemon_;
};

// What was found, from several threads.
class Findings {
 public:
  void add(const std::string& fault) {
    const std::lock_guard lock(mutex_);
    faults_.push_back(fault);
  }
  void report() const {
    for (const std::string& fault : faults_) FAIL_CHECK(fault);
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> faults_;
};

std::string describe(const std::string& what, Direction direction, int at) {
  return what + ", message " + std::to_string(at) +
         (direction == Direction::kToServer ? " to the server" : " from the server");
}

// Calls `run(at)`, which says whether it lost a message, until it has come to the end; returns how many it lost.
// Some runs have a message less than others, so that the end is where several runs in turn lost none.
template <typename Run>
int sweep(int first, int stride, Run run) {
  int cuts = 0, missed = 0;
  for (int at = first; missed < 3; at += stride) {
    missed = run(at) ? 0 : missed + 1;
    cuts += missed == 0 ? 1 : 0;
  }
  return cuts;
}

// The connections of one role's steps; returns the number of cuts.
int sweep_steps(SweptWorld& world, const std::string& name, const SweptKind& kind, int stride,
                Findings& findings) {
  SweptRole role = world.role(name);
  if (const std::string fault = role.fault_of(kind, role.submit(kind)); !fault.empty())
    findings.add(kind.name + ", no message lost: " + fault);
  int cuts = 0;
  for (const Direction direction : {Direction::kToServer, Direction::kFromServer}) {
    cuts += sweep(1, stride, [&](int at) {
      if (kind.logs_in) world.proxy.hang_up({name, kSteps});
      world.proxy.arm({name, kSteps}, direction, at);
      const std::string id = role.submit(kind);
      const std::string fault = role.fault_of(kind, id);
      if (!fault.empty()) findings.add(describe(kind.name + " " + id, direction, at) + ": " + fault);
      // The last messages follow what makes the end visible.
      wait_until("the step's sessions are quiet", [&] {
        return world.proxy.has_cut(name) || world.proxy.is_quiet({name, kSteps});
      });
      return world.proxy.disarm(name);
    });
  }
  return cuts;
}

}  // namespace

TEST_CASE("a lost message of a step's session loses nothing and doubles nothing, wherever it is", "[L6.1]") {
  const std::vector<std::string> roles = {"swept1", "swept2", "swept3", "swept4"};
  SweptWorld world(roles);
  const std::vector<SweptKind> kinds = world.kinds();
  Findings findings;
  std::mutex mutex;
  std::size_t next = 0;
  std::map<std::string, int> cuts;
  const auto work = [&](const std::string& role) {
    for (;;) {
      std::unique_lock lock(mutex);
      if (next == kinds.size()) return;
      const SweptKind& kind = kinds[next++];
      lock.unlock();
      try {
        const int count = sweep_steps(world, role, kind, is_full_sweep() ? 1 : 5, findings);
        lock.lock();
        cuts[kind.name] = count;
      } catch (const std::exception& e) {
        findings.add(kind.name + ": " + e.what());
      }
    }
  };
  std::vector<std::thread> threads;
  for (const std::string& role : roles) threads.emplace_back(work, role);
  for (std::thread& thread : threads) thread.join();
  findings.report();
  CHECK(world.daemon().running());
  int sum = 0;
  for (const auto& [kind, count] : cuts) {
    CHECK(count > 3);
    sum += count;
    std::cout << "fault sweep, sessions of steps, " << kind << ": " << count << " cuts\n";
  }
  std::cout << "fault sweep, sessions of steps: " << sum << " cuts" << std::endl;
}

TEST_CASE("a lost message of a group of steps loses nothing and doubles nothing, wherever it is", "[L6.1]") {
  SweptWorld world({"swept1"}, {{"steps.group_commit", "auto"}, {"steps.connections_per_role", "1"}});
  const SweptKind kind{.name = "group",
                       .dsl =
                           "df.for_each('select v from generate_series(1, 6) v', "
                           "'insert into public.effects values (''{sys_instance_id}'', $item.v)', 6)",
                       .steps = 6};
  Findings findings;
  const int cuts = sweep_steps(world, "swept1", kind, is_full_sweep() ? 1 : 5, findings);
  findings.report();
  CHECK(world.owner().number(
            "select max(count) from (select count(*) from public.effects group by xmin::text) t") > 1);
  CHECK(world.daemon().running());
  CHECK(cuts > 3);
  std::cout << "fault sweep, groups of steps: " << cuts << " cuts" << std::endl;
}

TEST_CASE("a lost message of the daemon's own sessions loses nothing and doubles nothing, wherever it is",
          "[L6.1]") {
  SweptWorld world({"swept1"});
  SweptRole role = world.role("swept1");
  const std::vector<SweptKind> kinds = world.kinds();
  int cuts = 0;
  for (const Direction direction : {Direction::kToServer, Direction::kFromServer}) {
    cuts += sweep(1, is_full_sweep() ? 1 : 11, [&](int at) {
      world.proxy.arm({kOwner, ""}, direction, at);
      std::vector<std::string> ids;
      for (const SweptKind& kind : kinds) ids.push_back(role.submit(kind));
      for (std::size_t i = 0; i < kinds.size(); ++i) {
        INFO(describe(kinds[i].name + " " + ids[i], direction, at));
        CHECK(role.fault_of(kinds[i], ids[i]) == "");
      }
      return world.proxy.disarm(kOwner);
    });
  }
  CHECK(world.daemon().running());
  CHECK(cuts > 3);
  std::cout << "fault sweep, the daemon's own sessions: " << cuts << " cuts" << std::endl;
}
