// The seccomp program for sandboxes: what namespaces and capabilities leave open.
//
// Keyrings and vsock sockets belong to no namespace. New user namespaces would give back every
// capability that was dropped. File handles reach past the root of a mount. io_uring and what
// else is named here has no use in a maintainer script and is where kernels break.
#include "core/syscall_filter.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace apt_ostree {

namespace {

// Numbers are the same everywhere from 424 on; the constants may be newer than the headers.
constexpr uint32_t kUnified[] = {
    425, 426, 427,                 // io_uring_setup, io_uring_enter, io_uring_register
    428, 429, 430, 431, 432, 433,  // open_tree, move_mount, fsopen, fsconfig, fsmount, fspick
    442,                           // mount_setattr
};
constexpr uint32_t kClone3 = 435;

struct Abi {
  uint32_t architecture;
  std::vector<uint32_t> denied;
  uint32_t clone;
  uint32_t socket;
  // The old call for all socket operations, whose arguments a filter cannot see; 0: none.
  uint32_t socketcall;
};

#if defined(__x86_64__)
constexpr uint32_t kNativeAudit = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kNativeAudit = AUDIT_ARCH_AARCH64;
#elif defined(__i386__)
constexpr uint32_t kNativeAudit = AUDIT_ARCH_I386;
#elif defined(__arm__)
constexpr uint32_t kNativeAudit = AUDIT_ARCH_ARM;
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
constexpr uint32_t kNativeAudit = AUDIT_ARCH_PPC64LE;
#elif defined(__riscv) && __riscv_xlen == 64
constexpr uint32_t kNativeAudit = AUDIT_ARCH_RISCV64;
#elif defined(__s390x__)
constexpr uint32_t kNativeAudit = AUDIT_ARCH_S390X;
#else
#error "The sandbox's system call filter does not know this architecture."
#endif

// s390 passes clone's flags second.
#if defined(__s390x__)
constexpr uint32_t kCloneFlags = 1;
#else
constexpr uint32_t kCloneFlags = 0;
#endif

Abi NativeAbi() {
  return {kNativeAudit,
          {
              __NR_mount,
              __NR_umount2,
              __NR_pivot_root,
              __NR_unshare,
              __NR_setns,
              __NR_ptrace,
              __NR_process_vm_readv,
              __NR_process_vm_writev,
              __NR_kcmp,
              __NR_add_key,
              __NR_request_key,
              __NR_keyctl,
              __NR_open_by_handle_at,
              __NR_bpf,
              __NR_perf_event_open,
              __NR_userfaultfd,
              __NR_init_module,
              __NR_finit_module,
              __NR_delete_module,
              __NR_kexec_load,
              __NR_reboot,
              __NR_swapon,
              __NR_swapoff,
              __NR_acct,
              __NR_quotactl,
#ifdef __NR_kexec_file_load
              __NR_kexec_file_load,
#endif
          },
          __NR_clone,
#ifdef __NR_socket
          __NR_socket,
#else
          0,
#endif
          0};
}

// What else programs of a 64-bit machine may be built for (multi-arch).
std::vector<Abi> ForeignAbis() {
#if defined(__x86_64__)
  return {{AUDIT_ARCH_I386,
           {21,  22,  52,  217, 310, 346, 26,  347, 348, 349, 286, 287, 288,
            342, 357, 336, 374, 128, 350, 129, 283, 88,  87,  115, 51,  131},
           120,
           359,
           102}};
#elif defined(__aarch64__)
  return {{AUDIT_ARCH_ARM,
           {21,  52,  218, 337, 375, 26,  376, 377, 378, 309, 310, 311, 371,
            386, 364, 388, 128, 379, 129, 347, 401, 88,  87,  115, 51,  131},
           120,
           281,
           0}};
#else
  return {};
#endif
}

class Program {
 public:
  std::vector<sock_filter> code;

  void Add(uint16_t operation, uint32_t value, uint8_t yes = 0, uint8_t no = 0) {
    code.push_back({operation, yes, no, value});
  }
  void Load(size_t offset) { Add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
  // The low half; high halves of these arguments have no meaning.
  void LoadArgument(uint32_t index) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    constexpr size_t kLow = 4;
#else
    constexpr size_t kLow = 0;
#endif
    Load(offsetof(seccomp_data, args) + index * sizeof(uint64_t) + kLow);
  }
  void Fail(int error) { Add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)); }
  void Allow() { Add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW); }
  void FailIf(uint32_t number, int error) {
    Add(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
    Fail(error);
  }
};

void AddAbi(Program& all, const Abi& abi) {
  Program one;
  one.Load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
  // x32 has the same architecture and other numbers.
  one.Add(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
  one.Fail(ENOSYS);
#endif
  for (const uint32_t number : abi.denied) one.FailIf(number, EPERM);
  for (const uint32_t number : kUnified) one.FailIf(number, EPERM);
  // Its flags are in memory; without it the C library calls clone.
  one.FailIf(kClone3, ENOSYS);
  if (abi.socketcall != 0) one.FailIf(abi.socketcall, ENOSYS);
  if (abi.socket != 0) {
    one.Add(BPF_JMP | BPF_JEQ | BPF_K, abi.socket, 0, 4);
    one.LoadArgument(0);
    one.Add(BPF_JMP | BPF_JEQ | BPF_K, AF_VSOCK, 0, 1);
    one.Fail(EAFNOSUPPORT);
    one.Allow();
  }
  one.Add(BPF_JMP | BPF_JEQ | BPF_K, abi.clone, 0, 3);
  one.LoadArgument(kCloneFlags);
  constexpr uint32_t kNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                   CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
  one.Add(BPF_JMP | BPF_JSET | BPF_K, kNamespaces, 0, 1);
  one.Fail(EPERM);
  one.Allow();
  // A section is longer than a conditional jump reaches.
  all.Load(offsetof(seccomp_data, arch));
  all.Add(BPF_JMP | BPF_JEQ | BPF_K, abi.architecture, 1, 0);
  all.Add(BPF_JMP | BPF_JA, static_cast<uint32_t>(one.code.size()));
  all.code.insert(all.code.end(), one.code.begin(), one.code.end());
}

Napi::Value SyscallFilter(const Napi::CallbackInfo& info) {
  Program program;
  AddAbi(program, NativeAbi());
  for (const Abi& abi : ForeignAbis()) AddAbi(program, abi);
  program.Fail(ENOSYS);
  return Napi::Buffer<uint8_t>::Copy(info.Env(),
                                     reinterpret_cast<const uint8_t*>(program.code.data()),
                                     program.code.size() * sizeof(sock_filter));
}

}  // namespace

void InitSyscallFilter(Napi::Env env, Napi::Object exports) {
  exports.Set("syscallFilter", Napi::Function::New<SyscallFilter>(env, "syscallFilter"));
}

}  // namespace apt_ostree
