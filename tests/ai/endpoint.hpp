// An embedding service in the form of OpenAI's, on the HTTP test server: the vector of a text is a function of model and
// text that SQL computes too (test_vector), so that each row of a sink can be proved. It misbehaves on demand.
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "tests/support/http_server.hpp"

namespace durabled::test {

// Thread-safe.
class EmbeddingEndpoint {
 public:
  enum class Mode {
    kAnswer,
    kShuffled,     // the items in another order, each with its index
    kMissingItem,  // without the first of several items
    kServerError,  // 500
    kCutJson,      // the first half of the answer
    kForbidden,    // 403
  };

  // For HttpTestServer::route.
  TestAnswer answer(const TestCall& call);

  void set_mode(Mode mode);
  void set_dimensions(int dimensions);
  // The next `count` requests are answered with 429 and Retry-After: 0.
  void limit_next(int count);
  // After that many more, requests wait until release(); await_held() until one does.
  void hold(int after = 0);
  void release();
  void await_held();

  int requests() const;                    // that were answered, 429 not counted
  int inputs() const;                      // texts in those answered with 200
  int limited() const;                     // answers 429
  std::vector<std::string> texts() const;  // all that were ever embedded, in order of arrival
  std::set<std::string> models() const;

  // A function of SQL for the same vectors: test_vector(model text, input text, dimensions int) returns real[].
  static const char* sql();

 private:
  TestAnswer answer_embeddings(const TestCall& call);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Mode mode_ = Mode::kAnswer;
  int dimensions_ = 8, limit_ = 0, limited_ = 0, requests_ = 0, waiting_ = 0, let_through_ = 0;
  bool held_ = false;
  std::vector<std::string> texts_;
  std::set<std::string> models_;
};

}  // namespace durabled::test
