#include "apt/pseudo.h"

#include <apt-pkg/debindexfile.h>
#include <apt-pkg/debversion.h>
#include <apt-pkg/error.h>
#include <apt-pkg/metaindex.h>
#include <apt-pkg/sourcelist.h>
#include <apt-pkg/srcrecords.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "apt/relations.h"
#include "apt/source_records.h"
#include "core/clip.h"

namespace apt_ostree::apt {

namespace {

using Parser = pkgSrcRecords::Parser;

// Sets an option for as long as it lives.
class Setting {
 public:
  Setting(Configuration& configuration, const std::string& name, const std::string& value)
      : configuration_(configuration), name_(name), before_(configuration.Find(name)) {
    configuration_.Set(name_, value);
  }
  ~Setting() { configuration_.Set(name_, before_); }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  Configuration& configuration_;
  const std::string name_;
  const std::string before_;
};

bool IsConflict(const BuildDependency& one) {
  return one.Type == Parser::BuildConflict || one.Type == Parser::BuildConflictIndep ||
         one.Type == Parser::BuildConflictArch;
}

bool IsOfArchitecture(const BuildDependency& one) {
  return one.Type == Parser::BuildDependArch || one.Type == Parser::BuildConflictArch;
}

std::string Relation(const BuildDependency& one) {
  std::string text = one.Package;
  if (!one.Version.empty()) {
    text += std::string(" (") + pkgCache::CompTypeDeb(one.Op) + " " + one.Version + ")";
  }
  return text;
}

Failure BadDependency(const std::string& text, const std::string& problem) {
  Failure failure("ERR_APT_PATTERN", "The dependency '" + Clip(text) + "' is wrong: " + problem);
  failure.Detail("pattern", text);
  return failure;
}

// libapt ends the process where a string of its cache is longer than 64 KB.
constexpr size_t kLongestWord = 4096;

// Nor does it take records of any size.
constexpr size_t kLongestRecord = size_t{1} << 20;

// A record as a Packages file has it.
std::string Record(const std::string& name, const std::string& architecture,
                   const std::vector<BuildDependency>& dependencies, bool without_arch) {
  std::string depends;
  std::string conflicts;
  for (const BuildDependency& one : dependencies) {
    if (without_arch && IsOfArchitecture(one)) continue;
    if (one.Package.size() > kLongestWord || one.Version.size() > kLongestWord) {
      throw BadDependency(Relation(one), "its name or version is too long");
    }
    const bool alternative = (one.Op & pkgCache::Dep::Or) == pkgCache::Dep::Or;
    (IsConflict(one) ? conflicts : depends) += Relation(one) + (alternative ? " | " : ", ");
  }
  std::string text = "Package: " + name + "\nArchitecture: " + architecture + "\nVersion: 1\n";
  for (auto& [field, value] :
       {std::pair<const char*, std::string&>("Depends", depends), {"Conflicts", conflicts}}) {
    if (value.empty()) continue;
    value.erase(value.find_last_not_of(" ,|") + 1);
    if (value.size() > kLongestRecord) throw BadDependency(value, "it is too long");
    text += std::string(field) + ": " + value + "\n";
  }
  return text + "\n";
}

// `<` and `>` once meant "or equal to", which nobody expects.
void CheckOperators(const std::string& text) {
  bool inside = false;
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    if (text[i] == '(') inside = true;
    if (text[i] == ')') inside = false;
    if (!inside || (text[i] != '<' && text[i] != '>')) continue;
    if (text[i + 1] != text[i] && text[i + 1] != '=') {
      throw BadDependency(text, "a relation is one of <<, <=, =, >=, >>");
    }
    ++i;
  }
}

void ParseSatisfy(const std::string& text, const std::string& architecture,
                  std::vector<BuildDependency>& dependencies) {
  CheckOperators(text);
  constexpr const char* kConflicts = "Conflicts:";
  const bool conflict = text.rfind(kConflicts, 0) == 0;
  const std::string relations = text.substr(conflict ? std::strlen(kConflicts) : 0);
  const auto type = conflict ? Parser::BuildConflictIndep : Parser::BuildDependIndep;
  if (!ReadRelations(relations, type, architecture, Commas::kOne, dependencies)) {
    throw BadDependency(text, "it cannot be parsed");
  }
}

bool IsPath(const std::string& wanted) { return wanted.rfind('/', 0) == 0; }

// Builds up the records of one request.
class Writer {
 public:
  Writer(Cache& cache, CacheFile& base, Session& session, const Request& request)
      : base_(base),
        session_(session),
        request_(request),
        configuration_(cache.context().configuration()),
        native_(cache.context().options().architecture),
        host_(request.host_architecture.value_or(native_)) {}

  void Write(CacheFile& fresh);
  const std::string& text() const { return text_; }
  std::vector<PseudoPackage> packages;

 private:
  void Add(const std::string& name, const std::string& architecture, const std::string& release,
           const std::vector<BuildDependency>& dependencies) {
    text_ += Record(name, architecture, dependencies, request_.indep_only);
    packages.push_back({name, architecture, release});
  }
  void AddSource(const std::string& wanted);
  void AddFile(CacheFile& fresh, const std::string& path);
  std::vector<BuildDependency> DependenciesOf(Parser& source, const std::string& name);

  CacheFile& base_;
  Session& session_;
  const Request& request_;
  Configuration& configuration_;
  const std::string native_;
  const std::string host_;
  std::string text_;
};

std::vector<BuildDependency> Writer::DependenciesOf(Parser& source, const std::string& name) {
  // Wildcards of architectures are matched with the configured one.
  const Setting architecture(configuration_, "APT::Architecture", host_);
  std::vector<BuildDependency> dependencies;
  if (!ReadBuildDependencies(source, request_.arch_only, dependencies)) {
    Failure failure = session_.MakeFailure("ERR_APT_FAILED", "Reading what " + name + " needs");
    throw failure.Detail("package", name);
  }
  return dependencies;
}

void Writer::AddSource(const std::string& wanted) {
  const FoundSource found = FindSource(base_, session_, wanted);
  Add("builddeps:" + found.name, host_, found.release, DependenciesOf(*found.parser, wanted));
}

void Writer::AddFile(CacheFile& fresh, const std::string& path) {
  pkgSourceList& sources = *fresh.GetSourceList();
  const size_t before = sources.GetVolatileFiles().size();
  const bool added = sources.AddVolatileFile(path);
  const std::vector<pkgIndexFile*> files = sources.GetVolatileFiles();
  std::unique_ptr<Parser> source;
  if (added && files.size() > before) source.reset(files.back()->CreateSrcParser());
  if (source == nullptr || _error->PendingError()) {
    Failure failure =
        session_.MakeFailure("ERR_APT_FAILED", path + " is no source package that can be read");
    throw failure.Detail("path", path);
  }
  Add("builddeps:" + path, host_, "", DependenciesOf(*source, path));
}

void Writer::Write(CacheFile& fresh) {
  // The process's environment has no say.
  const std::string context_profiles = configuration_.Find("APT::Build-Profiles");
  std::string profiles = request_.build_profiles.has_value() ? "" : context_profiles;
  for (const std::string& one : request_.build_profiles.value_or(std::vector<std::string>())) {
    profiles += (profiles.empty() ? "" : ",") + one;
  }
  const Setting setting(configuration_, "APT::Build-Profiles", profiles.empty() ? "," : profiles);
  if (!request_.satisfy.empty()) {
    std::vector<BuildDependency> dependencies;
    for (const std::string& text : request_.satisfy) ParseSatisfy(text, host_, dependencies);
    // As apt-get calls it: among equals the solver goes by the place of a name in the cache.
    Add("satisfy:command-line", host_, "", dependencies);
  }
  if (request_.build_depends.empty()) return;
  std::vector<BuildDependency> essentials;
  for (const std::string& name : configuration_.FindVector("APT::Build-Essential")) {
    BuildDependency one;
    one.Package = name;
    one.Type = Parser::BuildDependIndep;
    one.Op = 0;
    essentials.push_back(std::move(one));
  }
  Add("builddeps:essentials", native_, "", essentials);
  // Files first, as apt-get has it.
  for (const std::string& wanted : request_.build_depends) {
    if (IsPath(wanted)) AddFile(fresh, wanted);
  }
  for (const std::string& wanted : request_.build_depends) {
    if (!IsPath(wanted)) AddSource(wanted);
  }
}

}  // namespace

namespace {

void CheckHost(Context& context, const Request& request) {
  const std::vector<std::string>& known = context.options().architectures;
  if (!request.host_architecture.has_value() ||
      std::find(known.begin(), known.end(), *request.host_architecture) != known.end()) {
    return;
  }
  throw Failure("ERR_INVALID_ARG_VALUE",
                "The argument 'request.hostArchitecture' must be one of the context's "
                "architectures. Received '" +
                    Clip(*request.host_architecture) + "'");
}

}  // namespace

PseudoCache OpenPseudo(Cache& cache, CacheFile& base, Session& session, const Request& request) {
  PseudoCache result;
  CheckHost(cache.context(), request);
  result.file = std::make_unique<CacheFile>(cache.context().options().running_kernel,
                                            CacheFile::Unfinished::kIgnore);
  CacheFile& file = *result.file;
  if (!cache.ReadSources(file)) throw session.MakeFailure("ERR_APT_FAILED", "Reading the sources");
  Writer writer(cache, base, session, request);
  writer.Write(file);
  result.packages = std::move(writer.packages);
  // The list of sources owns its files.
  file.GetSourceList()->AddVolatileFile(
      std::make_unique<debStringPackageIndex>(writer.text()).release());
  // What nobody else has is no cache for the next time.
  const Setting binary(cache.context().configuration(), "Dir::Cache::pkgcache", "");
  if (!file.Build(request.recommends.value_or(cache.context().options().recommends))) {
    throw session.MakeFailure("ERR_APT_FAILED", "Opening the package cache");
  }
  return result;
}

}  // namespace apt_ostree::apt
