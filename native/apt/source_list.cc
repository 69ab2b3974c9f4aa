#include "apt/source_list.h"

#include <apt-pkg/error.h>
#include <apt-pkg/indexfile.h>
#include <apt-pkg/metaindex.h>
#include <apt-pkg/sourcelist.h>
#include <apt-pkg/strutl.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "apt/session.h"

namespace apt_ostree::apt {

namespace {

// The release file that an update kept; empty where there is none.
std::string ReleaseFile(const Context& context, const metaIndex& source) {
  const std::string suite = source.GetDist();
  const bool flat = !suite.empty() && suite.back() == '/';
  std::string base = source.GetURI() + (flat ? suite : "dists/" + suite + "/");
  if (suite == "/") base = source.GetURI();
  for (const char* name : {"InRelease", "Release"}) {
    std::string path = context.lists() + URItoFileName(base + name);
    if (access(path.c_str(), R_OK) == 0) return path;
  }
  return "";
}

Tree TargetTree(const IndexTarget& target) {
  TreeMembers members = {{"name", target.ShortDesc},
                         {"uri", target.URI},
                         {"createdBy", target.Option(IndexTarget::CREATED_BY)},
                         {"optional", target.IsOptional}};
  const std::pair<const char*, IndexTarget::OptionKeys> details[] = {
      {"component", IndexTarget::COMPONENT},
      {"architecture", IndexTarget::ARCHITECTURE},
      {"language", IndexTarget::LANGUAGE},
  };
  for (const auto& [name, key] : details) {
    std::string value = target.Option(key);
    if (!value.empty()) members.emplace_back(name, std::move(value));
  }
  std::string file = target.Option(IndexTarget::EXISTING_FILENAME);
  if (!file.empty()) members.emplace_back("path", std::move(file));
  return members;
}

Tree SourceTree(const Context& context, metaIndex& source) {
  TreeMembers members = {
      {"type", source.GetType()}, {"uri", source.GetURI()}, {"suite", source.GetDist()}};
  const metaIndex::TriState marked = source.GetTrusted();
  if (marked != metaIndex::TRI_UNSET && marked != metaIndex::TRI_DONTCARE) {
    members.emplace_back("markedTrusted", marked == metaIndex::TRI_YES);
  }
  if (!source.GetSignedBy().empty()) members.emplace_back("signedBy", source.GetSignedBy());
  members.emplace_back("trusted", source.IsTrusted());
  std::set<std::string> components;
  TreeList targets;
  for (const IndexTarget& target : source.GetIndexTargets()) {
    const std::string component = target.Option(IndexTarget::COMPONENT);
    if (!component.empty()) components.insert(component);
    targets.push_back(TargetTree(target));
  }
  TreeList names;
  for (const std::string& name : components) names.emplace_back(name);
  members.emplace_back("components", std::move(names));
  members.emplace_back("targets", std::move(targets));
  const std::string path = ReleaseFile(context, source);
  std::string problem;
  // Not the source itself: what it is said to be must not become what its file says.
  const std::unique_ptr<metaIndex> release(source.UnloadedClone());
  if (path.empty() || release == nullptr || !release->Load(path, &problem)) {
    _error->Discard();
    return members;
  }
  TreeMembers about = {{"path", path},
                       {"origin", release->GetOrigin()},
                       {"label", release->GetLabel()},
                       {"version", release->GetVersion()},
                       {"codename", release->GetCodename()},
                       {"suite", release->GetSuite()},
                       {"byHash", release->GetSupportsAcquireByHash()}};
  const std::pair<const char*, time_t> times[] = {{"date", release->GetDate()},
                                                  {"notBefore", release->GetNotBefore()},
                                                  {"validUntil", release->GetValidUntil()}};
  for (const auto& [name, time] : times) {
    if (time > 0) about.emplace_back(name, static_cast<double>(time));
  }
  members.emplace_back("release", std::move(about));
  return members;
}

}  // namespace

Tree ListSourceIndexes(Context& context) {
  Session session(context.configuration());
  pkgSourceList list;
  if (!list.ReadMainList()) throw session.MakeFailure("ERR_APT_SOURCES", "Reading the sources");
  TreeList sources;
  for (metaIndex* source : list) sources.push_back(SourceTree(context, *source));
  return sources;
}

}  // namespace apt_ostree::apt
