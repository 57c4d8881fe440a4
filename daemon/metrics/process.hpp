// The process_* metrics that Prometheus' conventions ask of every process; prometheus-cpp does not provide them.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

namespace durabled::daemon {

class ProcessMetrics {
 public:
  explicit ProcessMetrics(prometheus::Registry& registry);
  // Reads /proc; called before each scrape.
  void renew();

 private:
  prometheus::Gauge& gauge(prometheus::Registry& registry, const char* name, const char* help);

  prometheus::Counter& cpu_;
  prometheus::Gauge& resident_;
  prometheus::Gauge& virtual_;
  prometheus::Gauge& open_files_;
  prometheus::Gauge& most_files_;
  prometheus::Gauge& start_;
};

}  // namespace durabled::daemon
