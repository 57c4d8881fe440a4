#include "daemon/metrics/process.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace durabled::daemon {

prometheus::Gauge& ProcessMetrics::gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

ProcessMetrics::ProcessMetrics(prometheus::Registry& registry)
    : cpu_(prometheus::BuildCounter()
               .Name("process_cpu_seconds_total")
               .Help("User and system CPU time")
               .Register(registry)
               .Add({})),
      resident_(gauge(registry, "process_resident_memory_bytes", "Resident memory")),
      virtual_(gauge(registry, "process_virtual_memory_bytes", "Virtual memory")),
      open_files_(gauge(registry, "process_open_fds", "Open file descriptors")),
      most_files_(gauge(registry, "process_max_fds", "Limit on open file descriptors")),
      start_(gauge(registry, "process_start_time_seconds", "Start of the process, as Unix time")) {
  start_.Set(std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) most_files_.Set(static_cast<double>(files.rlim_cur));
}

void ProcessMetrics::renew() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  cpu_.Increment(seconds(used.ru_utime) + seconds(used.ru_stime) - cpu_.Value());
  double all = 0, resident = 0;  // pages
  if (std::ifstream pages("/proc/self/statm"); pages >> all >> resident) {
    const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
    virtual_.Set(all * page);
    resident_.Set(resident * page);
  }
  std::error_code none;
  const std::filesystem::directory_iterator open("/proc/self/fd", none);
  if (!none)
    open_files_.Set(
        static_cast<double>(std::distance(begin(open), end(open)) - 1));  // not the one that reads
}

}  // namespace durabled::daemon
