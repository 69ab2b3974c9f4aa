#include "ostree/repo_state.h"

#include <sys/stat.h>

#include <cerrno>
#include <chrono>

#include "core/error.h"

namespace apt_ostree {

TransactionShare::~TransactionShare() {
  if (state_ == nullptr) return;
  std::lock_guard<std::mutex> guard(state_->mutex_);
  if (--state_->writers_ == 0) state_->writer_left_.notify_all();
}

RepoState::RepoState(GObjectPtr<OstreeRepo> repo, std::string path)
    : repo_(std::move(repo)), path_(std::move(path)) {}

RepoState::~RepoState() {
  // Dropped inside a transaction: others must not find its locks held.
  if (transaction_repo_) {
    GError* error = nullptr;
    ostree_repo_abort_transaction(transaction_repo_.get(), nullptr, &error);
    g_clear_error(&error);
  }
}

GObjectPtr<OstreeRepo> RepoState::Use() const {
  std::lock_guard<std::mutex> guard(mutex_);
  if (!repo_) throw NativeError("ERR_CLOSED", "The repository is closed").Detail("path", path_);
  return repo_;
}

void RepoState::Close() {
  locks_.Close();
  std::lock_guard<std::mutex> guard(mutex_);
  repo_.reset();
}

bool RepoState::closed() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return !repo_;
}

TransactionShare RepoState::RequireTransaction() {
  GObjectPtr<OstreeRepo> repo = Use();
  std::lock_guard<std::mutex> guard(mutex_);
  if (phase_ != Phase::kOpen) {
    throw NativeError("ERR_INVALID_STATE", "Objects can be written only inside a transaction")
        .Detail("path", path_);
  }
  ++writers_;
  return TransactionShare(this, std::move(repo));
}

void RepoState::RequireNoTransaction() const {
  std::lock_guard<std::mutex> guard(mutex_);
  if (phase_ != Phase::kNone) {
    throw NativeError("ERR_BUSY", "A transaction is open on this repository object")
        .Detail("path", path_);
  }
}

bool RepoState::in_transaction() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return phase_ != Phase::kNone;
}

std::string RepoState::Identity() const {
  auto repo = Use();
  struct stat info;
  if (fstat(ostree_repo_get_dfd(repo.get()), &info) != 0) {
    throw FromErrno(errno, "Looking at the repository", path_);
  }
  return std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
}

std::unique_lock<std::shared_timed_mutex> RepoState::ConfigAlone(GCancellable* cancellable) {
  std::unique_lock<std::shared_timed_mutex> lock(config_, std::defer_lock);
  while (!lock.try_lock_for(std::chrono::milliseconds(50))) {
    if (g_cancellable_is_cancelled(cancellable)) throw Aborted();
  }
  return lock;
}

void RepoState::BeginTransaction(GCancellable* cancellable) {
  GObjectPtr<OstreeRepo> repo = Use();
  {
    std::lock_guard<std::mutex> guard(mutex_);
    if (phase_ != Phase::kNone) {
      throw NativeError("ERR_BUSY",
                        "A transaction is open on this repository object; open the repository "
                        "once more for a second one")
          .Detail("path", path_);
    }
    phase_ = Phase::kStarting;
  }
  GError* error = nullptr;
  const bool prepared =
      ostree_repo_prepare_transaction(repo.get(), nullptr, cancellable, &error) != FALSE;
  std::lock_guard<std::mutex> guard(mutex_);
  phase_ = prepared ? Phase::kOpen : Phase::kNone;
  if (!prepared) throw FromGError(error, "Starting a transaction").Detail("path", path_);
  transaction_repo_ = std::move(repo);
}

GObjectPtr<OstreeRepo> RepoState::StartEnding() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (phase_ != Phase::kOpen) {
    throw NativeError("ERR_INVALID_STATE", "No transaction is open").Detail("path", path_);
  }
  phase_ = Phase::kEnding;
  writer_left_.wait(lock, [this] { return writers_ == 0; });
  return transaction_repo_;
}

void RepoState::Ended() {
  std::lock_guard<std::mutex> guard(mutex_);
  transaction_repo_.reset();
  phase_ = Phase::kNone;
}

OstreeRepoTransactionStats RepoState::CommitTransaction(GCancellable* cancellable) {
  GObjectPtr<OstreeRepo> repo = StartEnding();
  OstreeRepoTransactionStats stats = {};
  GError* error = nullptr;
  const bool committed =
      ostree_repo_commit_transaction(repo.get(), &stats, cancellable, &error) != FALSE;
  if (!committed) {
    GError* ignored = nullptr;
    ostree_repo_abort_transaction(repo.get(), nullptr, &ignored);
    g_clear_error(&ignored);
  }
  Ended();
  if (!committed) throw FromGError(error, "Committing a transaction").Detail("path", path_);
  return stats;
}

void RepoState::AbortTransaction() {
  GObjectPtr<OstreeRepo> repo = StartEnding();
  GError* error = nullptr;
  const bool aborted = ostree_repo_abort_transaction(repo.get(), nullptr, &error) != FALSE;
  Ended();
  if (!aborted) throw FromGError(error, "Dropping a transaction").Detail("path", path_);
}

}  // namespace apt_ostree
