import { UserError } from '../errors.ts';
import { allowedHosts } from '../hosts.ts';

/** Decimal units, as operating systems write them. */
function size(bytes: number): string {
  if (bytes >= 999.5e6) return `${(bytes / 1e9).toFixed(1)} GB`;
  return bytes >= 999.5e3 ? `${Math.round(bytes / 1e6)} MB` : `${Math.ceil(bytes / 1e3)} kB`;
}

const nothing = 'Nothing was downloaded; everything on this page is as it was.';
const hosts = allowedHosts
  .map(({ source }) => source.replace('https://', ''))
  .filter((host) => !host.startsWith('*'))
  .join(', ');

/** The file lies where this page may fetch nothing. */
export class HostNotAllowedError extends UserError {
  constructor(address: string, host: string) {
    const short = address.length > 80 ? `${address.slice(0, 80)}…` : address;
    super(
      host === ''
        ? `“${short}” is not on a server that this page may fetch from.`
        : `The link leads to ${host}, and this page may fetch files from its own host and ${hosts} only.`,
      {
        kept: 'Nothing was downloaded. That no other host may be reached is what keeps your images on this computer.',
        remedy:
          'If you trust the file, download it yourself and drop it on this page. Or have it put beside the page, and use a link that says so.',
      },
    );
  }
}

export class LinkMissingError extends UserError {
  constructor(address: string, reason: string) {
    super(`There is no file to be had at ${address}: ${reason}.`, {
      kept: nothing,
      remedy:
        'Check how the link is written, capitals too, or ask whoever sent it. A zip that you have can be dropped on this page.',
    });
  }
}

/** The host does not answer now; it may later. */
export class LinkUnreachableError extends UserError {
  constructor(address: string, reason: string, cause?: unknown) {
    super(`${address} can’t be reached: ${reason}.`, {
      kept: nothing,
      remedy: 'Check the network and try again. A zip that you have can be dropped on this page.',
      cause,
    });
  }
}

export class LinkTooLargeError extends UserError {
  constructor(name: string, bytes: number | null, limit: number) {
    super(
      `${name} has ${bytes === null ? `more than ${size(limit)}` : size(bytes)}; through a link at most ${size(limit)} can be opened, because the page must hold such a file whole.`,
      {
        kept: nothing,
        remedy:
          'Download it with the browser and drop the zip on this page: a dropped zip is read from the disk in pieces and may have any size.',
      },
    );
  }
}

/** The browser would not find room for the file and for what is made of it. */
export class NoRoomForLinkError extends UserError {
  constructor(name: string, needed: number, room: number) {
    super(`${name} takes about ${size(needed)} once it is opened, and the browser has ${size(room)} left here.`, {
      kept: nothing,
      remedy: 'Delete data sets or runs that you no longer need, or free disk space, then open the link again.',
    });
  }
}

export class DownloadBrokenError extends UserError {
  constructor(name: string, done: number, total: number | null, cause?: unknown) {
    super(`The download of ${name} broke off after ${size(done)}${total === null ? '' : ` of ${size(total)}`}.`, {
      kept: 'The part that had arrived was thrown away; everything on this page is as it was.',
      remedy: 'Check the network and try again, or download it with the browser and drop the zip on this page.',
      cause,
    });
  }
}
