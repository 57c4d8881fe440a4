// The ids of traces and spans. They are hashes and not random, so that another daemon, or the same one after a restart,
// gives an instance's trace and each attempt of a step the same ids.
#pragma once

#include <boost/uuid/name_generator_sha1.hpp>
#include <string>

#include "dsl/engine/event.hpp"

namespace durabled::daemon {

class SpanIds {
 public:
  // `installation`: a UUID, see store::WorkerId; it makes the ids of two databases different. Throws
  // std::runtime_error when it is not a UUID.
  explicit SpanIds(const std::string& installation);

  // Of an instance: 32 hexadecimal digits.
  std::string trace(const std::string& instance) const;
  // Of the span of the whole instance, and of one attempt of a step: 16.
  std::string root(const std::string& instance) const;
  std::string step(const std::string& instance, const std::string& node, const std::string& scope,
                   int attempt) const;

 private:
  boost::uuids::uuid hash(const std::string& name) const { return generator_(name); }
  std::string span(const std::string& name) const;

  boost::uuids::name_generator_sha1 generator_;
};

// Whether a trace belongs to the share (0 to 1) of traces that are kept. Everybody who asks about the same trace with
// the same share gets the same answer, and who keeps a larger share keeps these too.
bool is_sampled(const std::string& trace, double share);

}  // namespace durabled::daemon
