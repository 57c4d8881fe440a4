// A schedule is refused, or has a next match that is later and the first, or none at all.
#include <fuzzer/FuzzedDataProvider.h>

#include "dsl/assert.hpp"
#include "dsl/value/cron.hpp"

using namespace durabled::dsl;

namespace {

// Zones that skip hours, half an hour or a day, some at midnight. "" stands for any text.
const std::string kZones[] = {"",
                              "UTC",
                              "America/New_York",
                              "Australia/Lord_Howe",
                              "Pacific/Apia",
                              "America/Havana",
                              "Africa/Casablanca"};
const std::string kFields[] = {"",   "*",  "*/7", "0",    "1",   "2",      "7",   "23",
                               "30", "31", "59",  "1,15", "1-5", "1-31/9", "jan", "sun-fri"};

template <std::size_t kCount>
std::string pick(FuzzedDataProvider& input, const std::string (&choices)[kCount]) {
  const std::string picked = input.PickValueInArray(choices);
  return picked.empty() ? input.ConsumeRandomLengthString(32) : picked;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using std::chrono::years, std::chrono::seconds, std::chrono::microseconds;
  FuzzedDataProvider input(data, size);
  const auto century = std::chrono::duration_cast<seconds>(years{100}).count();
  const Time after{seconds{input.ConsumeIntegralInRange(-century, 2 * century)}};
  const std::string zone = pick(input, kZones);
  std::string expression = pick(input, kFields);
  for (int i = 1; i < 5; ++i) expression += ' ' + pick(input, kFields);
  const auto schedule =
      CronSchedule::parse(input.ConsumeBool() ? expression : input.ConsumeRemainingBytesAsString(), zone);
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
