// A schedule is refused, or has a next match that is later, on a whole minute and the first: or none at all.
#include <fuzzer/FuzzedDataProvider.h>

#include "dsl/assert.hpp"
#include "dsl/value/cron.hpp"

using namespace durabled::dsl;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using std::chrono::years, std::chrono::seconds, std::chrono::microseconds;
  FuzzedDataProvider input(data, size);
  const auto century = std::chrono::duration_cast<seconds>(years{100}).count();
  const Time after{seconds{input.ConsumeIntegralInRange(-century, 2 * century)}};
  const std::string zone = input.ConsumeRandomLengthString(32);
  const auto schedule =
      CronSchedule::parse(input.ConsumeRemainingBytesAsString(), zone.empty() ? "UTC" : zone);
  if (!schedule) {
    DURABLED_ASSERT(!schedule.error().empty());
    return 0;
  }
  const auto next = schedule->next(after);
  if (!next) return 0;
  DURABLED_ASSERT(*next > after);
  DURABLED_ASSERT(schedule->next(*next - microseconds{1}) == next);
  DURABLED_ASSERT(schedule->next(after + (*next - after) / 2) == next);
  return 0;
}
