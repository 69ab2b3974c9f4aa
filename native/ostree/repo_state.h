// An opened repository, shared by its JavaScript object and the jobs on it, and the state of its
// transaction. libostree ends the process when objects are written outside of one, and corrupts
// memory when one ends under a writer; so both are kept here, under a lock.
#pragma once

#include <ostree.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <utility>

#include "core/executor.h"
#include "core/gobject.h"
#include "ostree/repo_lock.h"

namespace apt_ostree {

class RepoState;

// A writer's share in the open transaction, which cannot end while one exists.
class TransactionShare {
 public:
  TransactionShare(TransactionShare&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)), repo_(std::move(other.repo_)) {}
  ~TransactionShare();
  OstreeRepo* repo() const { return repo_.get(); }

 private:
  friend class RepoState;
  TransactionShare(RepoState* state, GObjectPtr<OstreeRepo> repo)
      : state_(state), repo_(std::move(repo)) {}
  RepoState* state_;
  GObjectPtr<OstreeRepo> repo_;
};

class RepoState {
 public:
  RepoState(GObjectPtr<OstreeRepo> repo, std::string path);
  ~RepoState();
  RepoState(const RepoState&) = delete;
  RepoState& operator=(const RepoState&) = delete;

  // A reference for the length of a job. Throws ERR_CLOSED after Close.
  GObjectPtr<OstreeRepo> Use() const;
  void Close();
  bool closed() const;

  // For a job that writes objects. The state must outlive the share: jobs hold it anyway.
  // Throws ERR_INVALID_STATE where no transaction is open, ERR_CLOSED after Close.
  [[nodiscard]] TransactionShare RequireTransaction();
  // For work that cannot go along with an open transaction (prune, pull). Throws ERR_BUSY.
  void RequireNoTransaction() const;
  bool in_transaction() const;
  // Names the repository, however it is opened: "device:inode".
  std::string Identity() const;

  // Run on the lane `writes()`.
  void BeginTransaction(GCancellable* cancellable);
  // Waits for the writers. A failed commit is aborted before it throws.
  OstreeRepoTransactionStats CommitTransaction(GCancellable* cancellable);
  void AbortTransaction();

  // What libostree does not allow in parallel on one handle (transactions, pull, prune).
  const std::shared_ptr<Lane>& writes() const { return writes_; }
  const std::string& path() const { return path_; }
  // libostree reads its configuration without a lock and frees it when it is replaced. So work
  // beside the lane `writes()` shares a lock, and work on the lane that replaces the configuration
  // waits to have it alone.
  std::shared_lock<std::shared_timed_mutex> ConfigShared() {
    return std::shared_lock<std::shared_timed_mutex>(config_);
  }
  // Throws ABORT_ERR.
  std::unique_lock<std::shared_timed_mutex> ConfigAlone(GCancellable* cancellable);
  // Those that JavaScript holds.
  RepoLocks& locks() { return locks_; }

 private:
  friend class TransactionShare;
  enum class Phase { kNone, kStarting, kOpen, kEnding };
  GObjectPtr<OstreeRepo> StartEnding();
  void Ended();

  mutable std::mutex mutex_;
  std::condition_variable writer_left_;
  GObjectPtr<OstreeRepo> repo_;
  // Set while a transaction is open, also after Close: it has to be ended all the same.
  GObjectPtr<OstreeRepo> transaction_repo_;
  Phase phase_ = Phase::kNone;
  size_t writers_ = 0;
  RepoLocks locks_;
  std::shared_timed_mutex config_;
  std::shared_ptr<Lane> writes_ = std::make_shared<Lane>();
  const std::string path_;
};

}  // namespace apt_ostree
