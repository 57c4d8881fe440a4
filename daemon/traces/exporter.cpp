#include "daemon/traces/exporter.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <optional>
#include <sstream>
#include <utility>

#include "daemon/curl_library.hpp"
#include "daemon/http/template.hpp"
#include "daemon/log.hpp"
#include "daemon/secret_file.hpp"
#include "daemon/traces/otlp.hpp"

namespace durabled::daemon {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLastMoments{2'000};
constexpr long kTimeoutMs = 10'000;
constexpr std::size_t kMaxAnswerBytes = 64 << 10;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Headers = std::unique_ptr<curl_slist, FreeList>;

void append(Headers& headers, const std::string& line) {
  curl_slist* list = curl_slist_append(headers.get(), line.c_str());
  DURABLED_ASSERT(list != nullptr);
  static_cast<void>(headers.release());
  headers.reset(list);
}

bool says_later(long status) {
  return status == 429 || status == 502 || status == 503 || status == 504;
}

}  // namespace

// One libcurl handle, whose connection is kept from one request to the next.
class SpanExporter::Request {
 public:
  // `is_over`: whether a request under way is to be broken off.
  Request(const std::string& url, std::function<bool()> is_over) : is_over_(std::move(is_over)) {
    initialize_curl_once();
    easy_.reset(curl_easy_init());
    DURABLED_ASSERT(easy_ != nullptr);
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_PROXY, "");  // an empty proxy also switches the environment's off
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_TIMEOUT_MS, kTimeoutMs);
    set(CURLOPT_USERAGENT, "durabled/" DURABLED_VERSION);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFODATA, static_cast<void*>(this));
    set(CURLOPT_XFERINFOFUNCTION, &Request::on_progress);
    set(CURLOPT_WRITEDATA, static_cast<void*>(this));
    set(CURLOPT_WRITEFUNCTION, &Request::on_body);
  }

  // The status; or 0, and problem() says why there is none.
  long post(const std::string& body, curl_slist* headers) {
    answer_.clear();
    set(CURLOPT_HTTPHEADER, headers);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    set(CURLOPT_POSTFIELDS, body.c_str());
    code_ = curl_easy_perform(easy_.get());
    set(CURLOPT_HTTPHEADER, static_cast<curl_slist*>(nullptr));
    long status = 0;
    if (code_ == CURLE_OK) curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    return status;
  }
  std::string problem() const {
    return code_ == CURLE_ABORTED_BY_CALLBACK ? "no answer before the daemon ended"
                                              : curl_easy_strerror(code_);
  }
  const std::string& answer() const { return answer_; }

 private:
  struct Close {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };

  template <typename T>
  void set(CURLoption option, T value) {
    DURABLED_ASSERT(curl_easy_setopt(easy_.get(), option, value) == CURLE_OK);
  }
  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Request*>(self)->is_over_() ? 1 : 0;
  }
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) {
    std::string& answer = static_cast<Request*>(self)->answer_;
    if (answer.size() + size * count > kMaxAnswerBytes) return 0;
    answer.append(data, size * count);
    return size * count;
  }

  std::function<bool()> is_over_;
  std::string answer_;
  CURLcode code_ = CURLE_OK;
  std::unique_ptr<CURL, Close> easy_;
};

namespace {

// The headers of a request. Read each time, so that a key that is replaced counts at once; nullopt, with `why`: the file
// cannot be used. The message shows nothing of what is in it.
std::optional<Headers> read_headers(const std::string& file, std::string& why) {
  Headers headers;
  append(headers, "Content-Type: application/json");
  append(headers, "Expect:");
  if (file.empty()) return headers;
  const SecretFile secret = read_secret_file(file);
  if (!secret.text) {
    why = "traces.headers_file cannot be read: " + (secret.problem.empty() ? "no such file" : secret.problem);
    return std::nullopt;
  }
  std::istringstream lines(*secret.text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    const auto colon = line.find(':');
    if (colon == 0 || colon == std::string::npos || !is_header_value(line)) {
      why = "traces.headers_file, line " + std::to_string(number) + ": expected Name: value";
      return std::nullopt;
    }
    append(headers, line);
  }
  return headers;
}

}  // namespace

SpanExporter::SpanExporter(Options options, Metrics& metrics)
    : options_(std::move(options)),
      metrics_(metrics),
      request_(
          std::make_unique<Request>(options_.endpoint + "/v1/traces", [this] { return is_out_of_time(); })),
      thread_([this] { run(); }) {}

SpanExporter::~SpanExporter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    last_moment_ = Clock::now() + kLastMoments;
  }
  changed_.notify_all();
  thread_.join();
}

void SpanExporter::add(Span span) {
  bool is_batch = false;
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= options_.queue) return metrics_.spans_dropped(1);
    queue_.push_back(std::move(span));
    is_batch = queue_.size() == 1 || queue_.size() == options_.batch;
  }
  if (is_batch) changed_.notify_all();
}

void SpanExporter::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    changed_.wait_for(lock, options_.delay, [this] { return stopping_ || queue_.size() >= options_.batch; });
    const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(std::min(queue_.size(), options_.batch));
    const std::vector<Span> batch(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
    queue_.erase(queue_.begin(), end);
    lock.unlock();
    deliver(batch);
    lock.lock();
  }
}

void SpanExporter::deliver(const std::vector<Span>& spans) {
  const std::string json = otlp_json(spans, options_.worker);
  for (milliseconds wait = options_.first_pause;; wait = std::min(2 * wait, options_.longest_pause)) {
    const Answer answer = is_out_of_time() ? Answer::kNever : send(json, spans.size());
    if (answer == Answer::kTaken) return;
    if (answer == Answer::kNever || !pause(wait)) return metrics_.spans_dropped(spans.size());
  }
}

SpanExporter::Answer SpanExporter::send(const std::string& json, std::size_t spans) {
  std::string why;
  const auto headers = read_headers(options_.headers_file, why);
  if (!headers) {
    complain(why);
    return Answer::kLater;
  }
  const long status = request_->post(json, headers->get());
  if (status < 200 || status > 299) {
    complain(status == 0 ? request_->problem() : "HTTP status " + std::to_string(status));
    return status == 0 || says_later(status) ? Answer::kLater : Answer::kNever;
  }
  const Rejected rejected = rejected_spans(request_->answer());
  const std::size_t dropped =
      std::min(spans, static_cast<std::size_t>(std::max<std::int64_t>(rejected.spans, 0)));
  metrics_.spans_exported(spans - dropped);
  metrics_.spans_dropped(dropped);
  if (dropped > 0) {
    complain("some spans were rejected: " + rejected.why);
  } else if (const auto lasted = away_.over(Clock::now())) {
    log_info("traces: " + options_.endpoint + " takes spans again after " + *lasted);
  }
  return Answer::kTaken;
}

// What the reason is may change each time; how often there is a line does not.
void SpanExporter::complain(const std::string& why) {
  const auto line = away_.again("traces: " + options_.endpoint + " does not take spans", Clock::now());
  if (line) log_warn(*line + ": " + why);
}

bool SpanExporter::is_out_of_time() {
  const std::lock_guard lock(mutex_);
  return Clock::now() > last_moment_;
}

bool SpanExporter::pause(milliseconds length) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, length, [this] { return stopping_; });
}

}  // namespace durabled::daemon
