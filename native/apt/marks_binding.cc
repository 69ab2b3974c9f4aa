// AptMarks: marks that are edited step by step.
#include <string>
#include <utility>
#include <vector>

#include "apt/binding.h"
#include "apt/inspect.h"
#include "apt/marks.h"
#include "apt/values.h"
#include "core/arguments.h"

namespace apt_ostree {

namespace {

Napi::Value CountsToJs(Napi::Env env, const apt::MarkCounts& counts) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("installs", static_cast<double>(counts.installs));
  object.Set("removals", static_cast<double>(counts.removals));
  object.Set("keeps", static_cast<double>(counts.keeps));
  object.Set("broken", static_cast<double>(counts.broken));
  object.Set("downloadSize", static_cast<double>(counts.download_size));
  object.Set("installSizeDelta", static_cast<double>(counts.install_size_delta));
  return object;
}

// A job whose answer is `work(cache, marks, job)`, converted by `convert`.
template <typename Do, typename Convert>
Napi::Value StartMarks(const Napi::CallbackInfo& info,
                       const std::shared_ptr<AptMarksHandle>& handle, Do work, Convert convert) {
  return StartApt(info.Env(),
                  [held = AptMarksHold(*handle), work = std::move(work), convert](JobContext& job) {
                    const auto cache = held.cache->Use();
                    return Converted(work(*cache, held.marks->Use(), job), convert);
                  });
}

// The same for one package, by the name and the architecture that the call has.
template <typename Do>
Napi::Value StartNamed(const Napi::CallbackInfo& info,
                       const std::shared_ptr<AptMarksHandle>& handle, Do work) {
  Arguments arguments(info);
  return StartMarks(
      info, handle,
      [work, name = arguments.String(0, "name"),
       architecture = arguments.OptionalString(1, "architecture").value_or("")](
          apt::Cache& cache, const apt::MarksHandle& marks, JobContext&) {
        return work(cache, marks, name, architecture);
      },
      TreeToJs);
}

apt::MarkEdit::Kind KindOf(Napi::Env env, const std::string& name) {
  using Kind = apt::MarkEdit::Kind;
  const std::pair<const char*, Kind> kinds[] = {
      {"install", Kind::kInstall}, {"reinstall", Kind::kReinstall}, {"remove", Kind::kRemove},
      {"keep", Kind::kKeep},       {"auto", Kind::kAuto},           {"manual", Kind::kManual},
      {"hold", Kind::kHold},       {"unhold", Kind::kRelease},      {"candidate", Kind::kCandidate},
      {"forbid", Kind::kForbid},
  };
  for (const auto& [known, kind] : kinds) {
    if (name == known) return kind;
  }
  throw InvalidArgumentValue(env, "edits", "must not contain the kind '" + name + "'");
}

std::vector<apt::MarkEdit> ReadEdits(const Napi::CallbackInfo& info) {
  if (!info[0].IsArray()) {
    throw InvalidArgumentType(info.Env(), "edits", "an instance of Array", info[0]);
  }
  const auto list = info[0].As<Napi::Array>();
  std::vector<apt::MarkEdit> edits;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Options one(info.Env(), list.Get(i), "edits");
    apt::MarkEdit edit;
    edit.kind = KindOf(info.Env(), one.String("kind"));
    edit.package = one.String("package");
    edit.purge = one.Bool("purge", false);
    edit.dependencies = one.Bool("dependencies", true);
    edit.automatic = one.Bool("auto", false);
    edits.push_back(std::move(edit));
  }
  return edits;
}

}  // namespace

void AptMarks::Init(Napi::Env env, Napi::Object exports) {
  Define(env, exports,
         {
             InstanceMethod<&AptMarks::Edit>("edit"),
             InstanceMethod<&AptMarks::Resolve>("resolve"),
             InstanceMethod<&AptMarks::Counts>("counts"),
             InstanceMethod<&AptMarks::Of>("of"),
             InstanceMethod<&AptMarks::Changes>("changes"),
             InstanceMethod<&AptMarks::Unmet>("unmet"),
             InstanceMethod<&AptMarks::Unneeded>("unneeded"),
             InstanceMethod<&AptMarks::States>("states"),
             InstanceMethod<&AptMarks::Why>("why"),
             InstanceMethod<&AptMarks::Plan>("plan"),
             InstanceMethod<&AptMarks::Solve>("solve"),
             InstanceMethod<&AptMarks::Copy>("copy"),
             InstanceMethod<&AptMarks::Assign>("assign"),
             InstanceMethod<&AptMarks::Close>("close"),
         });
}

Napi::Object AptMarks::Make(Napi::Env env, std::shared_ptr<AptCacheState> cache,
                            std::shared_ptr<apt::MarksState> marks, size_t bytes) {
  Napi::Object object =
      Create(env, std::make_shared<AptMarksHandle>(std::move(cache), std::move(marks)));
  Unwrap(object)->Weigh(env, static_cast<int64_t>(bytes));
  return object;
}

void AptMarks::Weigh(Napi::Env env, int64_t bytes) {
  Napi::MemoryManagement::AdjustExternalMemory(env, bytes - std::exchange(weight_, bytes));
}

Napi::Value AptCache::Marks(const Napi::CallbackInfo& info) {
  const Options options = Arguments(info).Object(0, "options");
  std::optional<bool> recommends;
  if (options.Has("recommends")) recommends = options.Bool("recommends", true);
  return StartApt(info.Env(),
                  [state = state(), held = state()->Hold(), recommends](JobContext&) -> ToJs {
                    const auto cache = held->Use();
                    auto marks = std::make_shared<apt::MarksState>();
                    marks->recommends = recommends.value_or(cache->context().options().recommends);
                    // Made whole now, so that the first edit is as quick as the others.
                    apt::CountMarks(*cache, marks);
                    return [state, marks](Napi::Env env) -> Napi::Value {
                      return AptMarks::Make(env, state, marks, sizeof *marks);
                    };
                  });
}

Napi::Value AptMarks::Edit(const Napi::CallbackInfo& info) {
  return StartMarks(
      info, state(),
      [edits = ReadEdits(info)](apt::Cache& cache, const apt::MarksHandle& marks, JobContext& job) {
        return apt::EditMarks(cache, marks, edits, [&job] { return job.cancelled(); });
      },
      CountsToJs);
}

Napi::Value AptMarks::Resolve(const Napi::CallbackInfo& info) {
  const std::string how = Arguments(info).String(0, "how");
  return StartMarks(
      info, state(),
      [how](apt::Cache& cache, const apt::MarksHandle& marks, JobContext&) {
        return apt::ResolveMarks(cache, marks, how);
      },
      CountsToJs);
}

Napi::Value AptMarks::Counts(const Napi::CallbackInfo& info) {
  return StartMarks(
      info, state(),
      [](apt::Cache& cache, const apt::MarksHandle& marks, JobContext&) {
        return apt::CountMarks(cache, marks);
      },
      CountsToJs);
}

Napi::Value AptMarks::Of(const Napi::CallbackInfo& info) {
  return StartNamed(info, state(), apt::MarkOf);
}

Napi::Value AptMarks::Changes(const Napi::CallbackInfo& info) {
  return StartMarks(
      info, state(),
      [](apt::Cache& cache, const apt::MarksHandle& marks, JobContext&) {
        return apt::ChangedMarks(cache, marks);
      },
      ColumnsToJs);
}

Napi::Value AptMarks::Unmet(const Napi::CallbackInfo& info) {
  return StartMarks(
      info, state(),
      [](apt::Cache& cache, const apt::MarksHandle& marks, JobContext&) {
        return apt::UnmetOfMarks(cache, marks);
      },
      TreeToJs);
}

Napi::Value AptMarks::Unneeded(const Napi::CallbackInfo& info) {
  return StartMarks(
      info, state(),
      [](apt::Cache& cache, const apt::MarksHandle& marks, JobContext&) {
        Table table({"name", "architecture"});
        for (const apt::PackageName& one : apt::UnneededOfMarks(cache, marks)) {
          table.Row({one.name, one.architecture});
        }
        return table;
      },
      [](Napi::Env env, const Table& table) { return table.ToJs(env); });
}

Napi::Value AptMarks::States(const Napi::CallbackInfo& info) {
  const apt::Page page = {static_cast<uint64_t>(Arguments(info).Integer(0, "after", 0, INT64_MAX)),
                          static_cast<size_t>(Arguments(info).Integer(1, "limit", 1, 65536))};
  return StartMarks(
      info, state(),
      [page](apt::Cache& cache, const apt::MarksHandle& marks, JobContext&) {
        return apt::StatesOfMarks(cache, marks, page);
      },
      ColumnsToJs);
}

Napi::Value AptMarks::Why(const Napi::CallbackInfo& info) {
  return StartNamed(info, state(), apt::WhyMarks);
}

Napi::Value AptMarks::Plan(const Napi::CallbackInfo& info) {
  const bool order = Arguments(info).Bool(0, "order");
  return StartApt(info.Env(), [held = AptMarksHold(*state()), order](JobContext&) -> ToJs {
    const auto cache = held.cache->Use();
    return ConvertedPlan(apt::PlanOfMarks(*cache, held.marks->Use(), order));
  });
}

Napi::Value AptMarks::Solve(const Napi::CallbackInfo& info) {
  apt::Request request = ReadRequest(Arguments(info).Object(0, "request"));
  return StartApt(
      info.Env(),
      [held = AptMarksHold(*state()), request = std::move(request)](JobContext& job) -> ToJs {
        const auto cache = held.cache->Use();
        return ConvertedPlan(apt::Solve(
            *cache, request, [&job] { return job.cancelled(); }, held.marks->Use()));
      });
}

Napi::Value AptMarks::Copy(const Napi::CallbackInfo& info) {
  return StartApt(
      info.Env(), [handle = state(), held = AptMarksHold(*state())](JobContext&) -> ToJs {
        const auto cache = held.cache->Use();
        const apt::MarksHandle copy = apt::CopyMarks(*cache, held.marks->Use());
        // Now: it is the JavaScript thread that makes the object, and others may use the marks by
        // then.
        return [handle, copy, bytes = apt::SizeOf(*copy)](Napi::Env env) -> Napi::Value {
          return AptMarks::Make(env, handle->cache, copy, bytes);
        };
      });
}

Napi::Value AptMarks::Assign(const Napi::CallbackInfo& info) {
  const std::shared_ptr<AptMarksHandle> source = StateOf(info.Env(), info[0], "source");
  if (source->cache != state()->cache) {
    throw InvalidArgumentValue(info.Env(), "source", "must be of the same cache");
  }
  return StartApt(
      info.Env(),
      [held = AptMarksHold(*state()), source = AptMarksHold(*source)](JobContext&) -> ToJs {
        const auto cache = held.cache->Use();
        apt::AssignMarks(*cache, held.marks->Use(), source.marks->Use());
        return Undefined();
      });
}

Napi::Value AptMarks::Close(const Napi::CallbackInfo& info) {
  state()->marks.Close();
  Weigh(info.Env(), 0);
  return info.Env().Undefined();
}

}  // namespace apt_ostree
