// An opened repository, shared by its JavaScript object and the jobs on it, and the state of its
// transaction. libostree ends the process when objects are written outside of one, and corrupts
// memory when one ends under a writer; so both are kept here, under a lock.
#pragma once

#include <ostree.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "core/executor.h"
#include "core/gobject.h"

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

  // Run on the lane `writes()`.
  void BeginTransaction(GCancellable* cancellable);
  // Waits for the writers. A failed commit is aborted before it throws.
  OstreeRepoTransactionStats CommitTransaction(GCancellable* cancellable);
  void AbortTransaction();

  // What libostree does not allow in parallel on one handle (transactions, pull, prune).
  const std::shared_ptr<Lane>& writes() const { return writes_; }
  const std::string& path() const { return path_; }

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
  std::shared_ptr<Lane> writes_ = std::make_shared<Lane>();
  const std::string path_;
};

}  // namespace apt_ostree
