#include "tests/ai/endpoint.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace durabled::test {
namespace {

namespace json = boost::json;

constexpr const char* kPoison = "POISON";

std::uint64_t hash(const std::string& text) {
  std::uint64_t value = 7;
  for (const char c : text) value = (value * 131 + static_cast<unsigned char>(c)) % 2147483647;
  return value;
}

json::array vector_of(const std::string& model, const std::string& text, int dimensions) {
  const std::uint64_t seed = hash(model + "\n" + text);
  json::array numbers;
  for (int i = 1; i <= dimensions; ++i)
    numbers.push_back(static_cast<double>(seed * static_cast<std::uint64_t>(i) % 1021 + 1) / 1024);
  return numbers;
}

TestAnswer error(int status, const std::string& message) {
  return {.status = status,
          .body = json::serialize(json::object{{"error", json::object{{"message", message}}}})};
}

}  // namespace

void EmbeddingEndpoint::set_mode(Mode mode) {
  const std::lock_guard lock(mutex_);
  mode_ = mode;
}

void EmbeddingEndpoint::set_dimensions(int dimensions) {
  const std::lock_guard lock(mutex_);
  dimensions_ = dimensions;
}

void EmbeddingEndpoint::limit_next(int count) {
  const std::lock_guard lock(mutex_);
  limit_ = count;
}

void EmbeddingEndpoint::hold(int after) {
  const std::lock_guard lock(mutex_);
  held_ = true;
  let_through_ = after;
}

void EmbeddingEndpoint::release() {
  const std::lock_guard lock(mutex_);
  held_ = false;
  changed_.notify_all();
}

void EmbeddingEndpoint::await_held() {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, std::chrono::seconds{60}, [&] { return waiting_ > 0; }))
    throw std::runtime_error("no request came to be held");
}

int EmbeddingEndpoint::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

int EmbeddingEndpoint::inputs() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(texts_.size());
}

int EmbeddingEndpoint::limited() const {
  const std::lock_guard lock(mutex_);
  return limited_;
}

std::vector<std::string> EmbeddingEndpoint::texts() const {
  const std::lock_guard lock(mutex_);
  return texts_;
}

std::set<std::string> EmbeddingEndpoint::models() const {
  const std::lock_guard lock(mutex_);
  return models_;
}

const char* EmbeddingEndpoint::sql() {
  return "create function test_vector(model text, input text, dimensions int) returns real[] language "
         "plpgsql immutable "
         "as $$ declare bytes bytea := convert_to(model || e'\\n' || input, 'UTF8'); h bigint := 7; begin "
         "for i in 0..length(bytes) - 1 loop h := (h * 131 + get_byte(bytes, i)) % 2147483647; end loop; "
         "return array(select ((h * i) % 1021 + 1)::real / 1024 from generate_series(1, dimensions) i); end "
         "$$";
}

TestAnswer EmbeddingEndpoint::answer(const TestCall& call) {
  std::unique_lock lock(mutex_);
  if (limit_ > 0) {
    --limit_;
    ++limited_;
    TestAnswer busy = error(429, "too many requests");
    busy.headers.emplace_back("Retry-After", "0");
    return busy;
  }
  if (held_ && let_through_ > 0) {
    --let_through_;
  } else {
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !held_; });
    --waiting_;
  }
  ++requests_;
  if (mode_ == Mode::kServerError) return error(500, "out of order");
  if (mode_ == Mode::kForbidden) return error(403, "the key is not known");
  return answer_embeddings(call);
}

// Requires the lock.
TestAnswer EmbeddingEndpoint::answer_embeddings(const TestCall& call) {
  const json::value request = json::parse(call.body);
  const std::string model(request.at("model").as_string());
  json::array items;
  for (const json::value& input : request.at("input").as_array()) {
    const std::string text(input.as_string());
    if (text.find(kPoison) != std::string::npos) return error(400, "input is not valid");
    items.push_back(json::object{{"object", "embedding"},
                                 {"index", items.size()},
                                 {"embedding", vector_of(model, text, dimensions_)}});
  }
  for (const json::value& input : request.at("input").as_array()) texts_.emplace_back(input.as_string());
  models_.insert(model);
  if (mode_ == Mode::kShuffled) std::reverse(items.begin(), items.end());
  if (mode_ == Mode::kMissingItem && items.size() > 1) items.erase(items.begin());
  const auto count = items.size();
  std::string body = json::serialize(json::object{
      {"object", "list"}, {"data", std::move(items)}, {"usage", json::object{{"total_tokens", 10 * count}}}});
  if (mode_ == Mode::kCutJson) body.resize(body.size() / 2);
  return {.body = std::move(body), .headers = {{"Content-Type", "application/json"}}};
}

}  // namespace durabled::test
