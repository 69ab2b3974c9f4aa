/** What dpkg thinks of a package. */

const kWanted = ['unknown', 'install', 'hold', 'deinstall', 'purge'] as const;
const kFlag = ['ok', 'reinstreq', 'hold', 'hold-reinstreq'] as const;
/** By the numbers that libapt-pkg gives them; 3 is none. */
const kStatus = [
  'not-installed',
  'unpacked',
  'half-configured',
  'not-installed',
  'half-installed',
  'config-files',
  'installed',
  'triggers-awaited',
  'triggers-pending',
] as const;

/** The three words of the field `Status`, see dpkg(1). */
export interface AptPackageState {
  /** What the user wants of it; `hold`: upgrades leave it alone. `unknown`: nobody ever said. */
  wanted: (typeof kWanted)[number];
  /** `reinstreq`: it is so broken that it must be installed again. */
  flag: (typeof kFlag)[number];
  /** How far dpkg is with it. `config-files`: removed, and its configuration is left. */
  status: (typeof kStatus)[number];
}

/** The number of native/apt/cache.cc, taken apart. */
export function stateOf(bits: number): AptPackageState {
  return {
    wanted: kWanted[bits & 7] ?? 'unknown',
    flag: kFlag[(bits >> 3) & 3] ?? 'ok',
    status: kStatus[(bits >> 5) & 15] ?? 'not-installed',
  };
}
