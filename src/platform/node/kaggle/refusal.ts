import type { UserError } from '../../../errors.ts';
import type { KaggleCredentials } from './credentials.ts';
import {
  KaggleAnswerError,
  KaggleCredentialsRejectedError,
  KaggleDatasetNotFoundError,
  KaggleForbiddenError,
  KaggleRulesNotAcceptedError,
} from './errors.ts';
import { messageOf, type Answer } from './request.ts';

/** What an answer that brings no file means. Only the API's own codes speak of users and rules; its storage's do not. */
export async function refusalOf(
  { response, origin, fromApi, signIn }: Answer,
  dataset: string,
  credentials: KaggleCredentials,
  kept: string,
): Promise<UserError> {
  if (signIn) return new KaggleCredentialsRejectedError(credentials.source, kept);
  const said = await messageOf(response, credentials.secrets);
  if (fromApi && response.status === 401) return new KaggleCredentialsRejectedError(credentials.source, kept);
  if (fromApi && response.status === 403) {
    return /accept|agree|consent|rules|terms/i.test(said)
      ? new KaggleRulesNotAcceptedError(dataset, said, kept)
      : new KaggleForbiddenError(dataset, said, kept);
  }
  if (fromApi && response.status === 404) return new KaggleDatasetNotFoundError(dataset, kept);
  const words = said === '' ? '.' : `: ${said}`;
  return new KaggleAnswerError(`${new URL(origin).host} answered ${response.status}${words}`, kept);
}
