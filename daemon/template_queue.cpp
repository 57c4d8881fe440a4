#include "daemon/template_queue.hpp"

#include <memory>
#include <optional>

#include "daemon/instance/answer.hpp"

namespace durabled::daemon {
namespace {

constexpr std::size_t kStatementBytes = 32 << 20;

TemplateQueue::Statement substituted(const SubstituteSql& source, const std::string& text,
                                     dsl::Notes& notes) {
  if (source.part != Exchange::Part::kInto)
    return dsl::substitute_sql(text, {source.names, source.variables}, &notes);
  const auto& options = std::get<dsl::HttpOptions>((*source.graph)[source.node].options);
  const auto names = bind_answer(source.names, options);
  if (!names) return Unexpected{names.error()};
  return dsl::substitute_sql(text, {*names, source.variables}, &notes);
}

}  // namespace

void TemplateQueue::add(SubstituteSql work) {
  const std::string role = work.role;
  roles_[role].waiting.push_back(std::move(work));
  next(role);
}

void TemplateQueue::forget(StepId step) {
  const auto made = made_.find(step);
  if (made == made_.end()) return;
  roles_[made->second.first].bytes -= made->second.second;
  made_.erase(made);
}

void TemplateQueue::pump() {
  for (auto role = roles_.begin(); role != roles_.end();) next(std::string((role++)->first));
}

void TemplateQueue::next(const std::string& name) {
  const auto found = roles_.find(name);
  if (found == roles_.end()) return;
  Role& role = found->second;
  while (!role.waiting.empty() && !callbacks_.is_wanted(role.waiting.front().step)) role.waiting.pop_front();
  if (role.waiting.empty() && !role.is_busy && role.bytes == 0) {
    roles_.erase(found);
    return;
  }
  if (role.waiting.empty() || role.is_busy || role.bytes > kStatementBytes) return;
  role.is_busy = true;
  struct Work {
    SubstituteSql source;
    dsl::Notes notes;
    std::optional<Statement> result;
  };
  auto work = std::make_shared<Work>();
  work->source = std::move(role.waiting.front());
  role.waiting.pop_front();
  callbacks_.offload(
      [work] {
        const SubstituteSql& source = work->source;
        const std::string& text = text_of((*source.graph)[source.node], source.part);
        work->result = substituted(source, text, work->notes);
        work->source.names = {};
      },
      [this, work, name] {
        const StepId step = work->source.step;
        roles_[name].is_busy = false;
        if (callbacks_.is_wanted(step)) {
          if (*work->result) {
            made_[step] = {name, (*work->result)->size()};
            roles_[name].bytes += (*work->result)->size();
          }
          callbacks_.done(step, std::move(*work->result), std::move(work->notes.warnings));
        }
        next(name);
      });
}

}  // namespace durabled::daemon
