/** The sources of a context as libapt-pkg sees them. */

/** One index that a source may have. */
export interface AptIndexTarget {
  /** `Packages`, `Translation-de`, `Sources`. */
  name: string;
  uri: string;
  /** What asks for it: `Packages`, `Translations`, ... */
  createdBy: string;
  component?: string;
  architecture?: string;
  language?: string;
  /** Whether an update does without it. */
  optional: boolean;
  /** The file of the last update; absent where the source has none, or there was no update. */
  path?: string;
}

/** What the Release file of a source says; see apt_preferences(5) for most of it. */
export interface AptRelease {
  path: string;
  origin: string;
  label: string;
  version: string;
  codename: string;
  suite: string;
  /** Whether indexes can be asked for by their hash. */
  byHash: boolean;
  date?: Date;
  /** It does not count before. */
  notBefore?: Date;
  /** It does not count any more from then on, unless it is made anew. */
  validUntil?: Date;
}

/** One suite of one address. */
export interface AptSourceEntry {
  type: string;
  uri: string;
  suite: string;
  components: string[];
  /** Key files or fingerprints, or a key itself; absent: any trusted key will do. */
  signedBy?: string;
  /** `Trusted` of the source, where it has that. */
  markedTrusted?: boolean;
  /** Whether its packages count as authenticated, by a signature or by `markedTrusted`. */
  trusted: boolean;
  /** Absent before the first update. */
  release?: AptRelease;
  targets: AptIndexTarget[];
}

type NativeRelease = Omit<AptRelease, (typeof kTimes)[number]> &
  Partial<Record<(typeof kTimes)[number], number>>;

const kTimes = ['date', 'notBefore', 'validUntil'] as const;

/** @internal The native answer with dates for seconds. */
export function toSourceEntries(native: unknown): AptSourceEntry[] {
  return (native as (Omit<AptSourceEntry, 'release'> & { release?: NativeRelease })[]).map(
    ({ release, ...entry }) => ({ ...entry, ...(release && { release: toRelease(release) }) }),
  );
}

function toRelease({ date, notBefore, validUntil, ...rest }: NativeRelease): AptRelease {
  const made: AptRelease = { ...rest };
  const times = { date, notBefore, validUntil };
  for (const name of kTimes) {
    const seconds = times[name];
    if (seconds !== undefined) made[name] = new Date(seconds * 1000);
  }
  return made;
}
