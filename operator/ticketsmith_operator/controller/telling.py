"""Post what there is to tell as Events, when it is time to."""

import logging
from collections.abc import Collection, Sequence

from ticketsmith.experiment.decision import Event
from ticketsmith_operator.controller.news import News
from ticketsmith_operator.controller.stories import repeated, stories
from ticketsmith_operator.controller.views import ExperimentView
from ticketsmith_operator.kube.base import EVENTS, AlreadyThere, Body, Kube, KubeError

_LOG = logging.getLogger(__name__)


class Teller:
    """Events are news, not state: what cannot be posted is dropped, and so is what waits when the operator ends."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._news: dict[str, News] = {}
        """What each experiment has to tell, by uid."""

    async def tell(self, view: ExperimentView, events: Sequence[Event], now: float) -> float | None:
        """Post these and what waited, or let them wait: then the seconds after which to call again."""
        news = self._news.setdefault(view.uid, News())
        news.waiting.extend(events)
        wait = news.due(now)
        if wait != 0.0:
            return wait
        for body in stories(view, news.take(now), now):
            await self._post(view, body, now)
        return None

    def forget(self, uids: Collection[str]) -> None:
        """Drop what was kept for experiments that are not among these."""
        for uid in [one for one in self._news if one not in uids]:
            del self._news[uid]

    async def _post(self, view: ExperimentView, body: Body, now: float) -> None:
        namespace, experiment = view.key
        try:
            try:
                await self._kube.create(EVENTS, namespace, body)
            except AlreadyThere:
                name = body["metadata"]["name"]
                known = await self._kube.get(EVENTS, namespace, name)
                await self._kube.patch(EVENTS, namespace, name, repeated(dict(known), now))
        except KubeError as error:
            names = {"namespace": namespace, "experiment": experiment}
            _LOG.warning("an Event was not posted: %s", error, extra=names)
