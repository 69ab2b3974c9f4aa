/**
 * Where the library does something else than the `ostree` command, on purpose. Each rule has a test
 * in rules.test.ts that shows both sides; the other tests keep clear of these, and nothing else may
 * differ.
 */

export const kRules = {
  leftOverRules:
    'the command fails where a skip or a statoverride fits nothing, after all was read; here they are `unmatched`, for the caller to judge',
  directoryModes:
    'the command asks twice about each directory and forgets the bits that a statoverride adds after the first time, so that directories do not get them; here they do',
  missingParts:
    'the command heeds `--allow-noent` only together with few other options; here it always counts',
  archiveCache:
    'the command links checkouts of an archive to a deprecated cache of unpacked content, unless told not to; here they are copies',
  skippedDirectories:
    'the skip list of a checkout names directories with a slash at the end; here without one, as everything else that skips',
  byteOrder:
    'the command shows numbers of metadata with their bytes turned round, unless told not to; here they are what was written',
  missingDirectories:
    'fsck of the command ends at the first directory object that is missing; here it goes on and lists all',
  unreadableCommits:
    'fsck of the command ends at a commit that is shorter than it should be; here it is a fault among others, and removed where that is asked for',
  wrongRefs:
    'fsck of the command ends at the first ref or binding that is wrong; here it goes on and lists all, and changes nothing either',
  metadataCommit:
    'the command adds a commit `ostree-metadata` to the summary of a repository with a collection id; here `regenerate` writes the summary alone, as the function of libostree does',
  switchedRefs:
    'the command removes the ref of the branch that a switch leaves; here it stays, since other deployments may be of it',
  freshOrigin:
    'set-origin of the command writes a new origin file, which forgets that a deployment is pinned; here all other keys stay',
  ziplElsewhere:
    'with boot loader zipl the command crashes elsewhere than on the running system; here that is an error before anything is written',
} as const;

export type Rule = keyof typeof kRules;
